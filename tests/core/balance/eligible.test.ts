import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { markEligible, type Eligibility, type EligibilityPolicy } from "../../../worker/balance/eligible.ts";

type Seen = Readonly<Omit<Eligibility, "isEligible">>;

const WELL: Seen = { isOpen: false, downSince: undefined, isDraining: false, share: 1 };
const DEFAULT: EligibilityPolicy = { maxEjection: 0.5, panicThreshold: 0.5 };

/** Who may be chosen, and whether health checks are ignored. */
function eligible(seen: readonly Seen[], policy = DEFAULT, bound = -1) {
  const candidates = seen.map((one) => ({ ...one, isEligible: false }));
  const isPanic = markEligible(candidates, policy, bound);
  return { indexes: candidates.flatMap(({ isEligible }, index) => (isEligible ? [index] : [])), isPanic };
}

/** `.` well, `o` breaker open, `d` draining, `0` without a share, another digit: down since then. */
function candidates(text: string): readonly Seen[] {
  return text.split("").map((one) => ({
    isOpen: one === "o",
    isDraining: one === "d",
    downSince: /[1-9]/.test(one) ? Number(one) : undefined,
    share: one === "0" ? 0 : 1,
  }));
}

describe("a request may go to", () => {
  it.each([
    ["....", [0, 1, 2, 3], false, "all that are well"],
    [".o..", [0, 2, 3], false, "none whose breaker is open"],
    ["oooo", [], false, "nobody when every breaker is open"],
    ["o", [], false, "nobody when the only breaker is open"],
    [".1..", [0, 2, 3], false, "none that is down"],
    [".12.", [0, 3], false, "the other half when half is down"],
    ["1", [0], true, "the only one although it is down"],
    ["1.", [1], false, "the one that is up of two"],
    ["123.", [0, 1, 2, 3], true, "all when most are down: the checks are not believed"],
    ["o12.", [1, 2, 3], true, "those whose breakers are closed when most are not well"],
    ["oo.1", [2, 3], true, "one that is down, when breakers have taken half"],
    ["d...", [1, 2, 3], false, "none that drains"],
    ["dd", [0, 1], false, "those that drain when there are no others"],
    ["0.", [1], false, "none without a share"],
    ["0d", [1], false, "one that drains before one without a share"],
    ["0", [], false, "nobody when the only one has no share"],
    ["0o", [], false, "none without a share although every other breaker is open"],
    ["", [], false, "nobody of nobody"],
  ])("%s: %j (panic: %s), %s", (text, indexes, isPanic, _why) => {
    expect(eligible(candidates(text))).toEqual({ indexes, isPanic });
  });

  it("a target that drains, for the client that is bound to it", () => {
    expect(eligible(candidates("d.."), DEFAULT, 0).indexes).toEqual([0, 1, 2]);
    expect(eligible(candidates("o.."), DEFAULT, 0).indexes).toEqual([1, 2]);
  });

  it("a target without a share, for the client that is bound to it", () => {
    expect(eligible(candidates("0.."), DEFAULT, 0).indexes).toEqual([0, 1, 2]);
  });

  it("those that were the last to go down, when no more may be taken away", () => {
    const policy = { maxEjection: 0.25, panicThreshold: 0 };
    expect(eligible(candidates("3.1."), policy)).toEqual({ indexes: [0, 1, 3], isPanic: false });
  });

  it.each([
    [0, [0, 1, 2]],
    [0.01, [0, 2]],
    [0.67, [2]],
  ])("all but so many as may be taken away, and one may unless it is none: %d", (maxEjection, indexes) => {
    expect(eligible(candidates("31."), { maxEjection, panicThreshold: 0 }).indexes).toEqual(indexes);
  });
});

describe("whatever is known of the targets", () => {
  const anyCandidate = fc.record<Seen>({
    isOpen: fc.boolean(),
    downSince: fc.option(fc.nat(100), { nil: undefined }),
    isDraining: fc.boolean(),
    share: fc.constant(1),
  });

  it("an open breaker is never passed by, health checks alone take at most half, and no one alone is left out", () => {
    fc.assert(
      fc.property(fc.array(anyCandidate, { minLength: 1, maxLength: 12 }), (list) => {
        const { indexes } = eligible(list);
        expect(indexes.every((index) => list[index]?.isOpen === false)).toBe(true);
        const staying = list.filter(({ isDraining }) => !isDraining);
        const pool = staying.length === 0 ? list : staying;
        const closed = pool.filter(({ isOpen }) => !isOpen).length;
        if (closed > 0) expect(indexes.length).toBeGreaterThan(0);
        const most = Math.max(pool.length > 1 ? 1 : 0, Math.floor(pool.length / 2));
        expect(closed - indexes.length).toBeLessThanOrEqual(most);
      }),
      { numRuns: 2_000 },
    );
  });

  it("one more that is well never leaves fewer", () => {
    fc.assert(
      fc.property(fc.array(anyCandidate, { maxLength: 12 }), (list) => {
        // But in panic, which one more that is well may end.
        const before = eligible(list);
        if (before.isPanic) return;
        expect(eligible([...list, WELL]).indexes.length).toBeGreaterThanOrEqual(
          before.indexes.filter((index) => list[index]?.isDraining === false).length,
        );
      }),
    );
  });
});
