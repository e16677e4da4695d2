import {
  addHistogram,
  bucketsOf,
  countAbove,
  emptyHistogram,
  quantileBucket,
  type LatencyHistogram,
} from "../latency-histogram.ts";
import type { AbortPolicy, ErrorBound, TimeBound } from "./abort-policy.ts";
import { addRound, fortune, NO_EVIDENCE, type Evidence, type TrialRound } from "./regression-evidence.ts";
import { noneOf, sumCounts, type VariantCounts } from "./variant-counts.ts";

/** What is known of the variants of a release in one epoch. */
export interface Judgement {
  /** Of each variant, since the epoch began; the control first. */
  readonly totals: readonly VariantCounts[];
  /** Times of the control, the older ones fading. */
  readonly usual: LatencyHistogram;
  /** Against each variant but the control. */
  readonly cases: readonly Case[];
}

/** What speaks against a variant. */
export interface Case {
  readonly errors: Evidence;
  readonly times: Evidence;
  /** The last 500 to 1,000 requests of the variant, and what the control had in the same time. */
  readonly recent: TrialRound;
}

/** A variant that is worse than the control, by index. */
export interface Regression {
  readonly variant: number;
  readonly cause: "more-errors" | "slower";
}

/** Of fewer answers a quantile is chance. */
const FEWEST_TIMES = 100;
/** When so many are known, each counts half: what was usual last week is not what is usual today. */
const MOST_TIMES = 10_000;
const RECENT_REQUESTS = 1_000;

const NOBODY: TrialRound = { canary: { trials: 0, bad: 0 }, control: { trials: 0, bad: 0 } };

/** Before the first round of so many variants. */
export function noJudgement(variants: number): Judgement {
  const cases = Array.from({ length: Math.max(0, variants - 1) }, () => ({
    errors: NO_EVIDENCE,
    times: NO_EVIDENCE,
    recent: NOBODY,
  }));
  return { totals: noneOf(variants), usual: emptyHistogram(), cases };
}

/** Takes in what a round saw of each variant, and says which of them are shown to be worse than the control. */
export function judge(
  judgement: Judgement,
  round: readonly VariantCounts[],
  policy: AbortPolicy | null,
): { readonly judgement: Judgement; readonly regressions: readonly Regression[] } {
  const totals = judgement.totals.map((total, index) => {
    const seen = round[index];
    return seen === undefined ? total : sumCounts(total, seen);
  });
  const [control, ...variants] = round;
  if (policy === null || control === undefined) return { judgement: { ...judgement, totals }, regressions: [] };
  const cases = judgement.cases.map((known, index) => {
    const seen = variants[index];
    return seen === undefined ? known : heard(known, { seen, control, usual: judgement.usual, policy });
  });
  // What is compared with must be from before the round: else the wager would know the result.
  const usual = control.times.total === 0 ? judgement.usual : remember(judgement.usual, control.times);
  const regressions: Regression[] = [];
  const bar = barOf(policy, cases.length);
  for (const [index, found] of cases.entries()) {
    const variant = index + 1;
    if ((totals[variant]?.requests ?? 0) < policy.minimumRequests) continue;
    if (policy.errors !== null && fortune(found.errors) >= bar && isAbove(found.recent, policy.errors)) {
      regressions.push({ variant, cause: "more-errors" });
    } else if (policy.times !== null && fortune(found.times) >= bar) regressions.push({ variant, cause: "slower" });
  }
  return { judgement: { totals, usual, cases }, regressions };
}

interface Hearing {
  readonly seen: VariantCounts;
  readonly control: VariantCounts;
  readonly usual: LatencyHistogram;
  readonly policy: AbortPolicy;
}

function heard(known: Case, { seen, control, usual, policy }: Hearing): Case {
  const failed: TrialRound = {
    canary: { trials: seen.requests, bad: seen.errors },
    control: { trials: control.requests, bad: control.errors },
  };
  const slow = policy.times === null ? undefined : slowOnes(seen.times, control.times, usual, policy.times);
  return {
    errors: policy.errors === null ? known.errors : addRound(known.errors, failed, policy.errors.ratio),
    // The bound is on the time and not on how many are slow: as many as of the control may be.
    times: slow === undefined ? known.times : addRound(known.times, slow, 1),
    recent: fade(addTrials(known.recent, failed)),
  };
}

/** Answers slower than what is usual, by the canary's bound for its own; undefined: it isn't known yet what is usual. */
function slowOnes(
  canary: LatencyHistogram,
  control: LatencyHistogram,
  usual: LatencyHistogram,
  { quantile, ratio }: TimeBound,
): TrialRound | undefined {
  const bucket = usual.total < FEWEST_TIMES ? undefined : quantileBucket(usual, quantile);
  if (bucket === undefined) return undefined;
  return {
    canary: { trials: canary.total, bad: countAbove(canary, bucket + bucketsOf(ratio)) },
    control: { trials: control.total, bad: countAbove(control, bucket) },
  };
}

/** What a wager must have become: the probability of a false abort is shared by all variants and both questions. */
function barOf({ falseAborts, errors, times }: AbortPolicy, variants: number): number {
  const questions = (errors === null ? 0 : 1) + (times === null ? 0 : 1);
  return Math.log(Math.max(1, questions * variants) / falseAborts);
}

function isAbove({ canary, control }: TrialRound, { gap }: ErrorBound): boolean {
  return canary.bad / Math.max(1, canary.trials) - control.bad / Math.max(1, control.trials) >= gap;
}

function addTrials(one: TrialRound, other: TrialRound): TrialRound {
  return {
    canary: { trials: one.canary.trials + other.canary.trials, bad: one.canary.bad + other.canary.bad },
    control: { trials: one.control.trials + other.control.trials, bad: one.control.bad + other.control.bad },
  };
}

function fade(recent: TrialRound): TrialRound {
  const { canary, control } = recent;
  if (canary.trials <= RECENT_REQUESTS) return recent;
  const part = RECENT_REQUESTS / 2 / canary.trials;
  return {
    canary: { trials: canary.trials * part, bad: canary.bad * part },
    control: { trials: control.trials * part, bad: control.bad * part },
  };
}

function remember(usual: LatencyHistogram, seen: LatencyHistogram): LatencyHistogram {
  const known = emptyHistogram();
  addHistogram(known, usual);
  addHistogram(known, seen);
  if (known.total <= MOST_TIMES) return known;
  known.total = 0;
  for (let bucket = 0; bucket < known.counts.length; bucket++) {
    known.counts[bucket] = (known.counts[bucket] ?? 0) >> 1;
    known.total += known.counts[bucket] ?? 0;
  }
  return known;
}
