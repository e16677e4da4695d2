import { describe, expect, it } from "vitest";
import { fly, tally, type OriginReply, type Seen } from "./flight-world.ts";

const SLOW: OriginReply = { afterMs: 1_000, head: { vary: ["a"] } };
const REFUSED: OriginReply = { afterMs: 10, head: "unreachable" };

function of(a: string) {
  return { fields: { a } };
}

function askedFor(seen: Seen): readonly (readonly [number, string | undefined])[] {
  return seen.asked.map(({ at, fields }) => [at, fields["a"]]);
}

describe("once it is known what the variants are", () => {
  it("those who wait on another flight for another variant go to one of theirs", () => {
    // The first flight is fenced, so that a second one begins before the first has taught what there is to know.
    const clients = [
      { at: 0, ...of("1") },
      { at: 20, ...of("2") },
      { at: 30, ...of("3") },
    ];
    const seen = fly({
      clients,
      purgesAt: [10],
      origin: (_fields, nth) => (nth === 1 ? { ...SLOW, afterMs: 100 } : SLOW),
    });
    expect(askedFor(seen)).toEqual([
      [0, "1"],
      [20, "2"],
      [100, "3"],
    ]);
  });

  it("nobody is lost who comes to a flight that others leave for theirs", () => {
    const clients = [
      { at: 0, ...of("1") },
      { at: 20, ...of("2") },
      { at: 21, ...of("3") },
      { at: 40, ...of("3") },
      { at: 41, ...of("2") },
    ];
    const seen = fly({
      clients,
      purgesAt: [10, 30],
      origin: (_fields, nth) => (nth === 1 ? { ...SLOW, afterMs: 100 } : SLOW),
    });
    expect(tally(seen)).toEqual({ leader: 4, follower: 1 });
    expect(seen.outcomes.get(2)).toEqual({ kind: "follower", at: 1_040, request: 3 });
  });

  it("a response whose owner has gone and that nobody else asked for is given up, unless it will be stored", () => {
    const clients = [
      { at: 0, ...of("1"), leavesAt: 50 },
      { at: 1, ...of("2") },
    ];
    const seen = fly({ clients, purgesAt: [10], origin: () => SLOW });
    expect(seen.effects).toContainEqual({ at: 1_000, effect: { kind: "abort", request: 1 } });
    const unpurged = fly({ clients, origin: () => SLOW });
    expect(unpurged.stored).toEqual([1, 2]);
  });
});

describe("one more try", () => {
  it("is the last for those too who came while it was made", () => {
    const clients = [{ at: 0 }, { at: 100 }];
    const seen = fly({ clients, origin: (_fields, nth) => (nth === 1 ? REFUSED : { ...REFUSED, afterMs: 300 }) });
    expect([tally(seen), seen.asked.length]).toEqual([{ refused: 2 }, 2]);
  });

  it("is not made beside a second request that has been answered", () => {
    const seen = fly({
      clients: [{ at: 0 }, { at: 1 }],
      origin: (_fields, nth) =>
        nth === 1 ? { ...REFUSED, afterMs: 8_000 } : { afterMs: 300, head: { isPrivate: true } },
    });
    expect([tally(seen), seen.asked.length]).toEqual([{ refused: 1, leader: 1 }, 2]);
  });

  it("is not made by those for whose variant somebody has asked since a purge", () => {
    const clients = [{ at: 0 }, { at: 20 }];
    const seen = fly({
      clients,
      purgesAt: [10],
      origin: (_fields, nth) => (nth === 1 ? { ...REFUSED, afterMs: 100 } : SLOW),
    });
    expect([tally(seen), seen.asked.length]).toEqual([{ leader: 1, follower: 1 }, 2]);
  });

  it("keeps nobody of another variant from asking", () => {
    const clients = [
      { at: 0, ...of("1") },
      { at: 2_000, ...of("2") },
      { at: 2_100, ...of("3") },
    ];
    const seen = fly({ clients, origin: (_fields, nth) => (nth === 2 ? REFUSED : SLOW) });
    expect(tally(seen)).toEqual({ leader: 3 });
  });
});

describe("those who wait for a request", () => {
  it("whose owner has gone end it when their patience does", () => {
    const clients = [{ at: 0, leavesAt: 1_000 }, { at: 10 }];
    const rules = { headersMs: 60_000, lockAgeMs: 60_000 };
    const seen = fly({ rules, clients, origin: () => ({ afterMs: Infinity, head: {} }) });
    expect(seen.outcomes.get(1)).toEqual({ kind: "refused", at: 10_010, request: undefined });
    expect(seen.effects).toContainEqual({ at: 10_010, effect: { kind: "abort", request: 1 } });
  });

  it("from before a purge go on to what others have asked for since, after the lock's age", () => {
    const clients = [{ at: 0 }, { at: 1 }, { at: 4_900 }];
    const seen = fly({
      clients,
      purgesAt: [10],
      origin: (_fields, nth) => ({ afterMs: nth === 1 ? 9_000 : 1_000, head: {} }),
    });
    expect(seen.asked.map(({ at }) => at)).toEqual([0, 4_900]);
    expect(seen.outcomes.get(1)).toEqual({ kind: "follower", at: 5_900, request: 2 });
  });
});
