import type { BreakerPolicy } from "./breaker-policy.ts";
import type { BreakerRules } from "./breaker-rules.ts";
import type { Cause } from "./circuit.ts";
import { countOutcomes, type OutcomeWindow } from "./outcome-window.ts";
import { countWithin, type Heard } from "./peers.ts";

/** What the owner knows when it judges. */
export interface Evidence {
  readonly peers: readonly Heard[];
  /** Isolates that use the breaker. */
  readonly isolates: number;
  readonly window: OutcomeWindow;
  /** When the owner started. */
  readonly startedAt: number;
}

/**
 * Why a closed breaker is to open now, or undefined.
 *
 * Every signal needs a quorum of isolates. The failures of one, however many calls it makes, may be its own: a broken
 * network in one place would else open the breaker for everyone.
 */
export function tripCause(
  { peers, isolates, window, startedAt }: Evidence,
  policy: BreakerPolicy,
  now: number,
  rules: BreakerRules,
): Cause | undefined {
  const isLearning = learningLeftMs(startedAt, now, rules) > 0;
  const quorum = Math.max(rules.quorum(isolates), isLearning ? rules.earlyQuorum(peers.length) : 0);
  if (countWithin(peers, "votedAt", rules.quorumMs, now) >= quorum) return "consecutive-failures";
  const { ok, failed, slow } = countOutcomes(window, now);
  const calls = ok + failed;
  if (calls < policy.minimumCalls) return undefined;
  const agree = (time: "failingAt" | "slowAt") => countWithin(peers, time, policy.windowMs, now) >= quorum;
  if (failed >= policy.failureRate * calls && agree("failingAt")) return "failure-ratio";
  if (policy.slowCallRate < 1 && slow >= policy.slowCallRate * calls && agree("slowAt")) return "slow-calls";
  return undefined;
}

/** How long an owner that has just started can't know yet how many isolates there are; 0: it does. */
export function learningLeftMs(startedAt: number, now: number, { learningMs }: BreakerRules): number {
  return Math.max(0, learningMs - Math.abs(now - startedAt));
}
