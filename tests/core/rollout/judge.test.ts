import { describe, expect, it } from "vitest";
import { addTime, quantile } from "../../../objects/latency-histogram.ts";
import type { AbortPolicy } from "../../../objects/rollout/abort-policy.ts";
import { DEFAULT_ABORT } from "../../../schemas/policies/canary.ts";
import { clientSpread } from "../../../objects/rollout/client-spread.ts";
import { judge, noJudgement, type Judgement } from "../../../objects/rollout/judge.ts";
import { CELLS, noCounts, noneOf, type VariantCounts } from "../../../objects/rollout/variant-counts.ts";

function counts(requests: number, errors: number, ms = 10): VariantCounts {
  const made = noCounts();
  made.requests = requests;
  made.errors = errors;
  for (let answer = errors; answer < requests; answer++) addTime(made.times, ms);
  return made;
}

/** A round: the control's counts as even in its cells as can be, then the other variants'. */
function roundOf([control, ...others]: readonly VariantCounts[]): readonly VariantCounts[] {
  const cells = noneOf(CELLS);
  const deal = (count: number, give: (cell: VariantCounts) => void) => {
    for (let at = 0; at < count; at++) {
      const cell = cells[at % CELLS];
      if (cell !== undefined) give(cell);
    }
  };
  deal(control?.requests ?? 0, (cell) => (cell.requests += 1));
  deal(control?.errors ?? 0, (cell) => (cell.errors += 1));
  for (const [bucket, count] of control?.times.counts.entries() ?? []) {
    deal(count, (cell) => addTime(cell.times, 2 ** ((bucket - 0.5) / 4)));
  }
  return [...cells, ...others];
}

function rounds(
  count: number,
  round: readonly VariantCounts[],
  policy: AbortPolicy | null = DEFAULT_ABORT,
  from: Judgement = noJudgement(round.length),
) {
  let known = from;
  const slots = roundOf(round);
  for (let at = 0; at < count; at++) {
    const judged = judge(known, slots, policy);
    known = judged.judgement;
    if (judged.regressions.length > 0) return { rounds: at + 1, regressions: judged.regressions, known };
  }
  return { rounds: count, regressions: [], known };
}

describe("how clients differ", () => {
  const cells = (...bad: readonly number[]) => bad.map((one) => ({ trials: 100, bad: one }));

  it.each([
    ["not at all", cells(5, 5, 5, 5), 1],
    ["less than by chance", cells(5, 6, 5, 4), 1],
    // 0.25 is the rate: squares of 25 / (100 * 0.25 * 0.75), of which there are four, by three degrees of freedom.
    ["more than by chance", cells(20, 30, 20, 30), (4 * 25) / 18.75 / 3],
    ["as far as can be", cells(100, 0, 0, 0), 100 / 0.75],
    ["nothing being bad", cells(0, 0, 0), 1],
    ["all being bad", cells(100, 100), 1],
    ["in one cell alone", [{ trials: 100, bad: 50 }, ...Array.from({ length: 15 }, () => ({ trials: 0, bad: 0 }))], 1],
    ["of no cell", [], 1],
  ])("%s", (_what, seen, expected) => {
    expect(clientSpread(seen)).toBeCloseTo(expected, 9);
  });

  it("takes from what speaks against a variant", () => {
    const bad = [counts(1_600, 16), counts(100, 10)];
    const even = rounds(10, bad);
    const uneven = roundOf(bad).map((slot, index) => (index < CELLS ? counts(100, index === 3 ? 16 : 0) : slot));
    let known = noJudgement(2);
    for (let at = 0; at < 10; at++) known = judge(known, uneven, DEFAULT_ABORT).judgement;
    expect([even.regressions.length, judge(known, uneven, DEFAULT_ABORT).regressions.length]).toEqual([1, 0]);
  });

  it("takes from what speaks for its being slow, alike", () => {
    const canary = counts(100, 0);
    for (let at = 0; at < 20; at++) addTime(canary.times, 5_000);
    canary.requests += 20;
    /** Of the control's 1,600 answers 16 are slow: one in each cell, or all of them in one. */
    const round = (slowOnes: (cell: number) => number) => [
      ...Array.from({ length: CELLS }, (_, cell) => {
        const slot = counts(100 - slowOnes(cell), 0);
        for (let at = 0; at < slowOnes(cell); at++) addTime(slot.times, 5_000);
        slot.requests = 100;
        return slot;
      }),
      canary,
    ];
    const aborts = (slots: readonly VariantCounts[]) => {
      let known = noJudgement(2);
      let regressions = 0;
      for (let at = 0; at < 10; at++) {
        const judged = judge(known, slots, DEFAULT_ABORT);
        known = judged.judgement;
        regressions += judged.regressions.length;
      }
      return regressions > 0;
    };
    expect([aborts(round(() => 1)), aborts(round((cell) => (cell === 3 ? 16 : 0)))]).toEqual([true, false]);
  });
});

describe("a round", () => {
  it("is compared with what was usual before it, and not with itself", () => {
    const slow = roundOf([counts(1_000, 0, 10), counts(1_000, 0, 5_000)]);
    const first = judge(noJudgement(2), slow, DEFAULT_ABORT);
    expect(first.judgement.cases[0]?.times.rounds).toBe(0);
    expect(quantile(first.judgement.usual, 0.95)).toBeCloseTo(11.3, 1);
    expect(judge(first.judgement, slow, DEFAULT_ABORT).regressions).toEqual([{ variant: 1, cause: "slower" }]);
  });

  it("needs more to be shown of each where more is asked, so that all false aborts together stay within the bound", () => {
    const bad = counts(20, 2);
    const asked = (variants: number, times: AbortPolicy["times"]) =>
      rounds(50, [counts(1_600, 16), ...Array.from({ length: variants }, () => bad)], { ...DEFAULT_ABORT, times })
        .rounds;
    expect([asked(1, null), asked(1, DEFAULT_ABORT.times), asked(7, DEFAULT_ABORT.times)]).toEqual([5, 5, 6]);
  });

  it("is added to the totals, judged or not", () => {
    for (const policy of [DEFAULT_ABORT, null]) {
      const { known } = rounds(3, [counts(100, 1), counts(10, 0)], policy);
      expect(known.totals.map(({ requests, errors, times }) => [requests, errors, times.total])).toEqual([
        [300, 3, 297],
        [30, 0, 30],
      ]);
    }
  });

  it("tells each of several variants by itself", () => {
    const { regressions } = rounds(10, [counts(1_000, 10), counts(100, 1), counts(100, 40), counts(100, 0)]);
    expect(regressions).toEqual([{ variant: 2, cause: "more-errors" }]);
  });

  it.each<[string, Partial<AbortPolicy>, readonly unknown[]]>([
    ["errors and times", {}, [{ variant: 1, cause: "more-errors" }]],
    ["times alone", { errors: null }, [{ variant: 1, cause: "slower" }]],
    ["errors alone", { times: null }, [{ variant: 1, cause: "more-errors" }]],
    ["nothing", { errors: null, times: null }, []],
    ["more requests than there are", { minimumRequests: 100_000 }, []],
    ["a wider gap", { errors: { ratio: 1.5, gap: 0.9 }, times: null }, []],
    ["a wider ratio", { errors: { ratio: 1_000, gap: 0 }, times: null }, []],
    ["a longer time", { errors: null, times: { quantile: 0.95, ratio: 1_000 } }, []],
  ])("asks what the policy says: %s", (_what, changes, expected) => {
    const policy = { ...DEFAULT_ABORT, ...changes };
    const before = rounds(3, [counts(1_000, 10), counts(100, 1)], policy).known;
    const bad = [counts(1_000, 10), counts(100, 50, 1_000)];
    expect(rounds(5, bad, policy, before).regressions).toEqual(expected);
  });

  it("forgets by and by what was usual, so that it follows the hours of the day", () => {
    const morning = rounds(30, [counts(1_000, 0, 10), counts(0, 0)]).known;
    const evening = rounds(60, [counts(1_000, 0, 100), counts(0, 0)], DEFAULT_ABORT, morning).known;
    expect([quantile(morning.usual, 0.05), quantile(evening.usual, 0.05)].map((ms) => Math.round(ms ?? 0))).toEqual([
      11, 108,
    ]);
    expect(evening.usual.total).toBeLessThanOrEqual(10_000);
  });

  it("holds no error of long ago against a variant that has none of late", () => {
    const bad = rounds(1, [counts(1_000, 10), counts(40, 8)]).known;
    const { known } = rounds(100, [counts(1_000, 10), counts(100, 1)], DEFAULT_ABORT, bad);
    const { canary } = known.cases[0]?.recent ?? { canary: { trials: 0, bad: 0 } };
    expect(canary.trials).toBeLessThanOrEqual(1_000);
    expect(canary.bad / canary.trials).toBeCloseTo(0.01, 2);
  });
});
