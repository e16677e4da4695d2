import { boardAll } from "./flight-boarding.ts";
import type { FlightRules } from "./flight-rules.ts";
import {
  drop,
  put,
  undecidedOf,
  type FailureCode,
  type FlightEffect,
  type FlightState,
  type Step,
  type Undecided,
} from "./flight-state.ts";

/** How a request to the origin failed before its head was there. */
export interface RequestFailure {
  readonly code: FailureCode;
  /** Whether the origin may have seen it. */
  readonly wasSent: boolean;
}

interface Failure {
  readonly code: FailureCode;
  /** Whether one more request may be made in the place of the failed one. */
  readonly mayRetry: boolean;
  readonly now: number;
  readonly rules: FlightRules;
}

/** A request has failed. Its flight goes on with the other one where there are two. */
export function fail(state: FlightState, id: number, failure: RequestFailure, rules: FlightRules, now: number): Step {
  const flight = undecidedOf(state, id);
  if (flight === undefined) return { state, effects: [] };
  const requests = flight.requests.filter((request) => request.id !== id);
  const { code, wasSent } = failure;
  return failWaiters(state, { ...flight, requests }, { code, mayRetry: !wasSent, now, rules });
}

/**
 * What those get who wait for something that failed: what they have that is stale, else one more try, made by one of them, else an error,
 * the same for all. Where nobody answered it is for a second the error of those who come after them too, or an origin that is down would be
 * asked by everybody.
 */
export function failWaiters(state: FlightState, flight: Undecided, failure: Failure): Step {
  const { code, mayRetry, now, rules } = failure;
  if (flight.requests.length > 0) {
    const left = flight.waiters.length > 0;
    if (left) return { state: put(state, flight), effects: [] };
    const effects = flight.requests.map(({ id }) => ({ kind: "abort", request: id }) as const);
    return { state: drop(state, flight.id), effects };
  }
  const effects: FlightEffect[] = [];
  const stale = flight.waiters.filter(({ hasStale }) => hasStale).map(({ id }) => id);
  if (stale.length > 0) effects.push({ kind: "stale", waiters: stale });
  const waiters = flight.waiters.filter(({ hasStale }) => !hasStale);
  const again = mayRetry && !flight.isRetried ? waiters : [];
  if (again.length === 0 && waiters.length > 0) {
    effects.push({ kind: "refuse", waiters: waiters.map(({ id }) => id), code });
  }
  // Others of their variant may have asked meanwhile, and more may be known of what the variants are.
  const retried = again.map((waiter) => Object.assign({}, waiter, { isRetried: true }));
  const boarded = boardAll(drop(state, flight.id), retried, rules, now);
  effects.push(...boarded.effects);
  // An answer that says "error" is one client's; that nobody answers is everybody's.
  const isEverybodys = again.length === 0 && code !== "upstream-error";
  const failed = isEverybodys ? { until: now + rules.failureMs, code } : boarded.state.failed;
  return { state: { ...boarded.state, failed }, effects };
}
