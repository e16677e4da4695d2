import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addTo,
  dropBefore,
  gridOf,
  indexAt,
  packBuckets,
  startOf,
  takeFrom,
  total,
  unpackBuckets,
} from "../../../objects/rate-limiter/algorithms/sub-buckets.ts";
import { RUNS, START } from "./arbitraries.ts";

const anyGrid = fc
  .tuple(
    fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 2_678_400_000 })),
    fc.integer({ min: 1, max: 100 }),
  )
  .map(([windowMs, perWindow]) => gridOf(windowMs, perWindow));

describe("a grid", () => {
  it("puts every millisecond into exactly one part, which begins at its start", () => {
    fc.assert(
      fc.property(anyGrid, fc.nat({ max: 2 * START }), (grid, time) => {
        const index = indexAt(grid, time);
        expect(startOf(grid, index)).toBeLessThanOrEqual(time);
        expect(startOf(grid, index + 1)).toBeGreaterThan(time);
        expect(indexAt(grid, startOf(grid, index))).toBe(index);
        expect(BigInt(index)).toBe((BigInt(time) * BigInt(grid.perWindow)) / BigInt(grid.windowMs));
        expect(indexAt(grid, time + grid.windowMs)).toBe(index + grid.perWindow);
      }),
      RUNS,
    );
  });

  it("has no part shorter than a millisecond", () => {
    expect(gridOf(10, 60)).toEqual({ windowMs: 10, perWindow: 10 });
  });
});

describe("a list of parts", () => {
  const anyAdditions = fc.array(fc.record({ index: fc.nat({ max: 30 }), count: fc.nat({ max: 5 }) }), {
    maxLength: 40,
  });

  it("holds what was added, in order, each part once and none empty", () => {
    fc.assert(
      fc.property(anyAdditions, (additions) => {
        const sums = new Map<number, number>();
        for (const { index, count } of additions) sums.set(index, (sums.get(index) ?? 0) + count);
        const wanted = [...sums]
          .map(([index, count]) => ({ index, count }))
          .filter(({ count }) => count > 0)
          .sort((one, other) => one.index - other.index);
        const buckets = additions.reduce((list, { index, count }) => addTo(list, index, count), addTo([], 0, 0));
        expect(buckets).toEqual(wanted);
        expect(total(buckets)).toBe(additions.reduce((sum, { count }) => sum + count, 0));
        expect(unpackBuckets(JSON.parse(JSON.stringify(packBuckets(buckets))))).toEqual(buckets);
      }),
      RUNS,
    );
  });

  it("gives from one part no more than it holds", () => {
    const buckets = [
      { index: 3, count: 2 },
      { index: 5, count: 4 },
    ];
    expect(takeFrom(buckets, 5, 1)).toEqual([
      { index: 3, count: 2 },
      { index: 5, count: 3 },
    ]);
    expect(takeFrom(buckets, 5, 9)).toEqual([{ index: 3, count: 2 }]);
    expect(takeFrom(buckets, 4, 1)).toEqual(buckets);
  });

  it("drops the parts before the first that counts", () => {
    const buckets = [
      { index: 3, count: 2 },
      { index: 5, count: 4 },
    ];
    expect(dropBefore(buckets, 3)).toBe(buckets);
    expect(dropBefore(buckets, 4)).toEqual([{ index: 5, count: 4 }]);
    expect(dropBefore([], 4)).toEqual([]);
  });

  it.each([
    { title: "no list", packed: "1,2" },
    { title: "half a part", packed: [1, 2, 3] },
    { title: "a part twice", packed: [1, 2, 0, 2] },
    { title: "an empty part", packed: [1, 0] },
    { title: "a step back", packed: [4, 2, -1, 2] },
    { title: "a fraction", packed: [4, 2.5] },
    { title: "a word", packed: ["4", 2] },
  ])("is not read back from $title", ({ packed }) => {
    expect(unpackBuckets(packed)).toBeUndefined();
  });
});
