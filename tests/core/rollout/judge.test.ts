import { describe, expect, it } from "vitest";
import { addTime, quantile } from "../../../objects/latency-histogram.ts";
import { DEFAULT_ABORT, type AbortPolicy } from "../../../objects/rollout/abort-policy.ts";
import { judge, noJudgement, type Judgement } from "../../../objects/rollout/judge.ts";
import { noCounts, type VariantCounts } from "../../../objects/rollout/variant-counts.ts";

function counts(requests: number, errors: number, ms = 10): VariantCounts {
  const made = noCounts();
  made.requests = requests;
  made.errors = errors;
  for (let answer = errors; answer < requests; answer++) addTime(made.times, ms);
  return made;
}

function rounds(
  count: number,
  round: readonly VariantCounts[],
  policy: AbortPolicy | null = DEFAULT_ABORT,
  from: Judgement = noJudgement(round.length),
) {
  let known = from;
  for (let at = 0; at < count; at++) {
    const judged = judge(known, round, policy);
    known = judged.judgement;
    if (judged.regressions.length > 0) return { rounds: at + 1, regressions: judged.regressions, known };
  }
  return { rounds: count, regressions: [], known };
}

describe("a round", () => {
  it("is compared with what was usual before it, and not with itself", () => {
    const slow = [counts(1_000, 0, 10), counts(1_000, 0, 5_000)];
    const first = judge(noJudgement(2), slow, DEFAULT_ABORT);
    expect(first.judgement.cases[0]?.times.rounds).toBe(0);
    expect(quantile(first.judgement.usual, 0.95)).toBeCloseTo(11.3, 1);
    expect(judge(first.judgement, slow, DEFAULT_ABORT).regressions).toEqual([{ variant: 1, cause: "slower" }]);
  });

  it("needs more to be shown of each where more is asked, so that all false aborts together stay within the bound", () => {
    const bad = counts(20, 2);
    const asked = (variants: number, times: AbortPolicy["times"]) =>
      rounds(50, [counts(400, 4), ...Array.from({ length: variants }, () => bad)], { ...DEFAULT_ABORT, times }).rounds;
    expect([asked(1, null), asked(1, DEFAULT_ABORT.times), asked(7, DEFAULT_ABORT.times)]).toEqual([5, 6, 7]);
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
