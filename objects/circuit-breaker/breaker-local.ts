import type { BreakerRules } from "./breaker-rules.ts";
import type { BreakerView } from "./breaker-view.ts";
import { failedShare, forgetOutcomes } from "./recent-outcomes.ts";

/** Between two reports of a suspicion, so that the second tells what has come of the first. */
const HURRY_PAUSE_MS = 400;
/** Where all isolates start at once the object hears enough: so long only votes are told at once. */
const SETTLING_MS = 2_000;
/** Fewer outcomes have no ratio that could speak against a row of failures. */
const VOTE_CALLS = 10;
/** Fewer are no reason for a suspicion. */
const SUSPICION_CALLS = 5;

/**
 * After a failure: opens for this isolate alone and votes where a row of them shows that the target is failing, and pulls the next
 * report forward where they only make it likely.
 */
export function judgeFailure(view: BreakerView, now: number, rules: BreakerRules): void {
  if (now < view.localUntil) return;
  const { failureThreshold, failureRate } = view.policy;
  const newest = failedShare(view.recent, VOTE_CALLS, view.policy.windowMs, now);
  if (view.trailing >= failureThreshold && (newest?.share ?? 1) >= failureRate) {
    view.localUntil = now + localMs(view, rules);
    view.localOpenings += 1;
    hurry(view, now + view.urgentMs * view.phase);
    return;
  }
  if (now - view.bornAt < SETTLING_MS) return;
  if (view.hurriesLeft === 0 || Math.abs(now - view.hurriedAt) < HURRY_PAUSE_MS) return;
  const few = failedShare(view.recent, SUSPICION_CALLS, view.policy.windowMs, now);
  if (few === undefined || few.share < suspiciousShare(few.calls) * failureRate) return;
  view.hurriesLeft -= 1;
  view.hurriedAt = now;
  // After the votes, so that the answer to it tells what has come of them.
  hurry(view, now + view.urgentMs * (1 + view.phase / 2));
}

/**
 * Of the rate that opens: 0.7 of 30 calls, since at 60 % of failures an isolate in a hundred sees less than half of its calls
 * fail for a while; 1.2 of 5, since three of five fail now and then at 20 %.
 */
function suspiciousShare(calls: number): number {
  return 0.7 + (0.5 * (30 - calls)) / 25;
}

function hurry(view: BreakerView, at: number): void {
  view.hurryAt = Math.min(view.hurryAt, at);
}

/** Without an owner to say otherwise, twice as long each time. */
function localMs({ silentSince, localOpenings }: BreakerView, { localOpenMs, aloneOpenMaxMs }: BreakerRules): number {
  return silentSince === undefined ? localOpenMs : Math.min(aloneOpenMaxMs, localOpenMs * 2 ** localOpenings);
}

/** Lets requests pass again that this isolate refused by itself, and begins to count anew. */
export function reclose(view: BreakerView): void {
  view.localUntil = -Infinity;
  view.trailing = 0;
  forgetOutcomes(view.recent);
}
