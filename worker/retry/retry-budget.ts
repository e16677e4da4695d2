/** How many retries there may be beside requests. */
export interface RetryBudgetPolicy {
  /** Retries per request; default 0.2. */
  readonly ratio: number;
  /**
   * Retries a second beside that, so that few requests can be retried too. What the whole fleet may do (10 by default) divided by the
   * number of isolates, which the breaker's replies tell.
   */
  readonly perSecond: number;
}

/** What may still be retried. */
export interface RetryBudget {
  readonly tokens: number;
  /** Until when time has brought its share; ahead of the present where that was given in advance. */
  readonly at: number;
}

/** Unused budget is kept for so long, and no longer: an hour of success is no reason to retry everything of a bad minute. */
const KEPT_S = 10;
/**
 * A fresh isolate, of which there are many, may have to retry the request for which it was started: what its first second brings
 * is there at once.
 */
const FIRST_TOKENS = 1;
const ADVANCE_MS = 1_000;
/** The most that requests can add to what `perSecond` keeps. */
const MAX_FROM_REQUESTS = 100;

/** The budget of an isolate that has just started. */
export function newRetryBudget(now: number): RetryBudget {
  return { tokens: FIRST_TOKENS, at: now + ADVANCE_MS };
}

/** Adds what time and one request bring. Retries are no requests: they would pay for one another. */
export function noteRequest(budget: RetryBudget, policy: RetryBudgetPolicy, now: number): RetryBudget {
  const { tokens, at } = refilled(budget, policy, now);
  return { tokens: Math.min(capacityOf(policy), tokens + policy.ratio), at };
}

/**
 * Takes one retry out of the budget; undefined: there is none, and the failure is to be passed on. Retries of n requests in t seconds
 * never exceed `ratio * n + max(1, perSecond * t)`: an outage is answered with a fifth more load and not with three times as much.
 */
export function takeRetry(budget: RetryBudget, policy: RetryBudgetPolicy, now: number): RetryBudget | undefined {
  const { tokens, at } = refilled(budget, policy, now);
  // A hundred times 0.01 is a little less than 1.
  return tokens < 1 - 1e-9 ? undefined : { tokens: Math.max(0, tokens - 1), at };
}

function refilled({ tokens, at }: RetryBudget, policy: RetryBudgetPolicy, now: number): RetryBudget {
  const elapsedMs = Math.max(0, now - at);
  const refill = (elapsedMs * policy.perSecond) / 1_000;
  // A clock that stepped back by more than an advance explains is followed, and brings nothing.
  const isAhead = at > now && at - now <= ADVANCE_MS;
  return { tokens: Math.min(capacityOf(policy), tokens + refill), at: isAhead ? at : now };
}

function capacityOf({ perSecond }: RetryBudgetPolicy): number {
  return FIRST_TOKENS + perSecond * KEPT_S + MAX_FROM_REQUESTS;
}
