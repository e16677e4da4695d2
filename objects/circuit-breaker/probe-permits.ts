import { BREAKER_RULES, type BreakerRules } from "./breaker-rules.ts";
import { close, open, type BreakerState, type ProbeCount } from "./circuit.ts";

/** A probe that may be in flight. */
export interface ProbePermit {
  /** Used once in the life of a breaker. */
  readonly id: number;
  /** The epoch that it was given in, the only one in which its result counts. */
  readonly epoch: number;
  /** From then on it can't be in flight any more, by the owner's clock, guard included. */
  readonly endsAt: number;
}

/** What came of a probe. `none`: nothing was learnt, the permit comes back unused or its request was given up. */
export type ProbeOutcome = "success" | "failure" | "neutral" | "none";

/** A probe's outcome, as it is reported. */
export interface ProbeResult {
  readonly permit: number;
  readonly outcome: ProbeOutcome;
}

/** A permit that was given, and the state to store before it is told; without one, the very state. */
export interface Granted {
  readonly state: BreakerState;
  readonly permit: ProbePermit | undefined;
}

/**
 * Gives a permit if the breaker is half-open, a place is free, and those in flight with what has succeeded are not enough
 * already: where all goes well, no more probes reach the target than there are permits. Places are taken by every probe that may be in flight,
 * also by those of an earlier epoch: one that hangs may outlast a short open time.
 */
export function grant(state: BreakerState, now: number, rules: BreakerRules = BREAKER_RULES): Granted {
  const { circuit, policy, epoch } = state;
  if (circuit.kind !== "half-open" || !isFree(state, proofsOf(circuit, rules), rules)) {
    return { state, permit: undefined };
  }
  const id = state.lastPermit + 1;
  const permit = { id, epoch, endsAt: rules.permitEnd(now, rules.startMs + policy.operationTimeoutMs) };
  return { state: { ...state, at: now, permits: [...state.permits, permit], lastPermit: id }, permit };
}

function isFree({ permits, policy, epoch }: BreakerState, proofs: number, rules: BreakerRules): boolean {
  const { halfOpenPermits, successThreshold } = policy;
  const places = permits.filter((permit) => rules.occupies(permit.epoch, epoch)).length;
  const ours = permits.filter((permit) => permit.epoch === epoch).length;
  return places < halfOpenPermits && ours + proofs < Math.max(halfOpenPermits, successThreshold);
}

/** When a probe is noted to have ended. */
export interface Moment {
  readonly now: number;
  /** In [0, 1): spreads the open time, should it open again. */
  readonly random: number;
}

/**
 * Takes in results of probes. Each frees its place once; it moves the circuit only in its own epoch. Results of permits that are
 * not known (told before, given up, or lost with a record) change nothing.
 */
export function settleProbes(
  state: BreakerState,
  results: readonly ProbeResult[],
  moment: Moment,
  rules: BreakerRules = BREAKER_RULES,
): BreakerState {
  let next = state;
  for (const { permit: id, outcome } of results) {
    const permit = next.permits.find((one) => one.id === id);
    if (permit === undefined) continue;
    const permits = next.permits.filter((one) => one !== permit);
    next = count({ ...next, at: moment.now, permits }, permit, outcome, moment, rules);
  }
  return next;
}

/** Takes back the permits of probes that can't be in flight any more; several in a row count as a failure. */
export function expireProbes(state: BreakerState, moment: Moment, rules: BreakerRules = BREAKER_RULES): BreakerState {
  const over = state.permits.filter(({ endsAt }) => moment.now >= endsAt);
  if (over.length === 0) return state;
  const permits = state.permits.filter(({ endsAt }) => moment.now < endsAt);
  return over.reduce<BreakerState>((next, permit) => count(next, permit, "lost", moment, rules), {
    ...state,
    at: moment.now,
    permits,
  });
}

function count(
  state: BreakerState,
  permit: ProbePermit,
  outcome: ProbeOutcome | "lost",
  { now, random }: Moment,
  rules: BreakerRules,
): BreakerState {
  const { circuit, policy } = state;
  if (circuit.kind !== "half-open" || !rules.acceptsEpoch(permit.epoch, state.epoch)) return state;
  const counted = { ...circuit, ...tally(circuit, outcome, rules) };
  if (counted.failures > policy.halfOpenMaxFailures) return open(state, "probes-failed", now, random);
  if (proofsOf(counted, rules) >= policy.successThreshold) return close(state, "probes-succeeded", now);
  return { ...state, circuit: counted };
}

/** What counts as successful probes. */
function proofsOf({ successes, neutral }: ProbeCount, { neutralAnswers }: BreakerRules): number {
  return successes + Math.floor(neutral / neutralAnswers);
}

function tally(
  { successes, failures, lost, neutral }: ProbeCount,
  outcome: ProbeOutcome | "lost",
  { lostProbes }: BreakerRules,
): ProbeCount {
  switch (outcome) {
    case "success":
      return { successes: successes + 1, failures, lost: 0, neutral };
    case "failure":
      return { successes, failures: failures + 1, lost: 0, neutral };
    case "neutral":
      return { successes, failures, lost: 0, neutral: neutral + 1 };
    case "lost":
      if (lost + 1 < lostProbes) return { successes, failures, lost: lost + 1, neutral };
      return { successes, failures: failures + 1, lost: 0, neutral };
    case "none":
    default:
      // By default too: what an isolate of a later version may say.
      return { successes, failures, lost, neutral };
  }
}
