import {
  addHistogram,
  bucketsOf,
  countAbove,
  emptyHistogram,
  quantileBucket,
  type LatencyHistogram,
} from "../latency-histogram.ts";
import type { AbortPolicy, ErrorBound } from "./abort-policy.ts";
import { clientSpread } from "./client-spread.ts";
import { addRound, fortune, NO_EVIDENCE, type Evidence, type TrialRound, type Trials } from "./regression-evidence.ts";
import { CELLS, noCounts, noneOf, sumCounts, type VariantCounts } from "./variant-counts.ts";

/** What is known of the variants of a release in one epoch. */
export interface Judgement {
  /** Of each variant, since the epoch began; the control first. */
  readonly totals: readonly VariantCounts[];
  /** Times of the control, the older ones fading. */
  readonly usual: LatencyHistogram;
  /** How the control's clients differ: what failed and what was slow in each of its cells. */
  readonly failed: readonly Trials[];
  readonly slow: readonly Trials[];
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

const NONE: Trials = { trials: 0, bad: 0 };
const NOBODY: TrialRound = { canary: NONE, control: NONE };

/** Before the first round of so many variants. */
export function noJudgement(variants: number): Judgement {
  const cases = Array.from({ length: Math.max(0, variants - 1) }, () => ({
    errors: NO_EVIDENCE,
    times: NO_EVIDENCE,
    recent: NOBODY,
  }));
  const cells = Array.from({ length: CELLS }, () => NONE);
  return { totals: noneOf(variants), usual: emptyHistogram(), failed: cells, slow: cells, cases };
}

/**
 * Takes in a round, and says which variants are shown to be worse than the control.
 *
 * @param round what was seen in the control's cells, and then of each other variant.
 */
export function judge(
  judgement: Judgement,
  round: readonly VariantCounts[],
  policy: AbortPolicy | null,
): { readonly judgement: Judgement; readonly regressions: readonly Regression[] } {
  const cells = round.slice(0, CELLS);
  const control = sumCounts(cells);
  const seen = [control, ...round.slice(CELLS)];
  const totals = judgement.totals.map((total, index) => sumCounts([total, seen[index] ?? noCounts()]));
  if (policy === null) return { judgement: { ...judgement, totals }, regressions: [] };
  // What is compared with must be from before the round: else the wager would know the result.
  const bounds = boundsOf(judgement.usual, policy);
  const cases = judgement.cases.map((known, index) => hearCase(known, seen[index + 1], { control, bounds, policy }));
  const next: Judgement = {
    totals,
    usual: control.times.total === 0 ? judgement.usual : remember(judgement.usual, control.times),
    failed: judgement.failed.map((known, index) => addTrials(known, failedOf(cells[index]))),
    slow: judgement.slow.map((known, index) => addTrials(known, slowOf(cells[index], bounds?.control))),
    cases,
  };
  return { judgement: next, regressions: regressionsOf(next, policy) };
}

function regressionsOf({ totals, failed, slow, cases }: Judgement, policy: AbortPolicy): readonly Regression[] {
  const { errors, times, minimumRequests } = policy;
  const bar = barOf(policy, cases.length);
  const [errorBar, timeBar] = [bar * clientSpread(failed), bar * clientSpread(slow)];
  const regressions: Regression[] = [];
  for (const [index, found] of cases.entries()) {
    const variant = index + 1;
    if ((totals[variant]?.requests ?? 0) < minimumRequests) continue;
    if (errors !== null && fortune(found.errors) >= errorBar && isAbove(found.recent, errors)) {
      regressions.push({ variant, cause: "more-errors" });
    } else if (times !== null && fortune(found.times) >= timeBar) regressions.push({ variant, cause: "slower" });
  }
  return regressions;
}

/** Answers of later buckets are slow. */
interface SlowBounds {
  readonly control: number;
  readonly canary: number;
}

interface Hearing {
  readonly control: VariantCounts;
  readonly bounds: SlowBounds | undefined;
  readonly policy: AbortPolicy;
}

function hearCase(known: Case, seen: VariantCounts | undefined, { control, bounds, policy }: Hearing): Case {
  if (seen === undefined) return known;
  const failed: TrialRound = { canary: failedOf(seen), control: failedOf(control) };
  const slow: TrialRound = { canary: slowOf(seen, bounds?.canary), control: slowOf(control, bounds?.control) };
  return {
    errors: policy.errors === null ? known.errors : addRound(known.errors, failed, policy.errors.ratio),
    // The bound is on the time and not on how many are slow: as many as of the control may be.
    times: addRound(known.times, slow, 1),
    recent: fade({
      canary: addTrials(known.recent.canary, failed.canary),
      control: addTrials(known.recent.control, failed.control),
    }),
  };
}

/** From when on answers are slow; undefined: it isn't known yet what is usual, or nobody asks. */
function boundsOf(usual: LatencyHistogram, { times }: AbortPolicy): SlowBounds | undefined {
  if (times === null || usual.total < FEWEST_TIMES) return undefined;
  const control = quantileBucket(usual, times.quantile);
  return control === undefined ? undefined : { control, canary: control + bucketsOf(times.ratio) };
}

function failedOf(counts: VariantCounts | undefined): Trials {
  return counts === undefined ? NONE : { trials: counts.requests, bad: counts.errors };
}

function slowOf(counts: VariantCounts | undefined, bucket: number | undefined): Trials {
  if (counts === undefined || bucket === undefined) return NONE;
  return { trials: counts.times.total, bad: countAbove(counts.times, bucket) };
}

/** What a wager must have become: the probability of a false abort is shared by all variants and both questions. */
function barOf({ falseAborts, errors, times }: AbortPolicy, variants: number): number {
  const questions = (errors === null ? 0 : 1) + (times === null ? 0 : 1);
  return Math.log(Math.max(1, questions * variants) / falseAborts);
}

function isAbove({ canary, control }: TrialRound, { gap }: ErrorBound): boolean {
  return canary.bad / Math.max(1, canary.trials) - control.bad / Math.max(1, control.trials) >= gap;
}

function addTrials(one: Trials, other: Trials): Trials {
  return { trials: one.trials + other.trials, bad: one.bad + other.bad };
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
