import { fail } from "./flight-failure.ts";
import { sendOn, without } from "./flight-regrouping.ts";
import type { FlightRules } from "./flight-rules.ts";
import {
  drop,
  put,
  undecidedOf,
  type FlightEffect,
  type FlightState,
  type Step,
  type Undecided,
  type Waiter,
} from "./flight-state.ts";

/**
 * Does what is due: gives up requests whose head is overdue, lets go of those who have waited for too long, sends one more request beside
 * one that takes long, and forgets what nobody may join any more. Never are all let go at once: a timer that sends everybody to the origin
 * is a stampede (nginx's `proxy_cache_lock_timeout`).
 */
export function pass(state: FlightState, rules: FlightRules, now: number): Step {
  let step: Step = { state, effects: [] };
  for (const flight of state.flights) {
    if (flight.kind === "finished" && now >= flight.admitsUntil) {
      step = then(step, drop(step.state, flight.id), [{ kind: "forget", request: flight.request.id }]);
    }
    if (flight.kind !== "undecided") continue;
    for (const request of flight.requests) {
      if (now < request.begunAt + rules.headersMs) continue;
      const failed = fail(step.state, request.id, { code: "upstream-timeout", wasSent: true }, rules, now);
      step = then(step, failed.state, [{ kind: "abort", request: request.id }, ...failed.effects]);
    }
    const left =
      undecidedOf(step.state, flight.requests[0]?.id ?? 0) ?? undecidedOf(step.state, flight.requests[1]?.id ?? 0);
    if (left === undefined) continue;
    step = letGo(step, left, rules, now);
    const waiting = undecidedOf(step.state, left.requests[0]?.id ?? 0);
    if (waiting !== undefined) step = sendSecond(step, waiting, rules, now);
  }
  return step;
}

/** When something is due next, in ms by the steady clock; Infinity: never. */
export function nextDue(state: FlightState, rules: FlightRules): number {
  let due = Infinity;
  for (const flight of state.flights) {
    if (flight.kind === "finished") due = Math.min(due, flight.admitsUntil);
    if (flight.kind !== "undecided") continue;
    const followers = followersOf(flight);
    const hasSeconder = seconderOf(flight) !== undefined;
    for (const { begunAt } of flight.requests) {
      due = Math.min(due, begunAt + rules.headersMs);
      if (hasSeconder) due = Math.min(due, begunAt + rules.lockAgeMs);
    }
    for (const { since } of followers) due = Math.min(due, since + rules.followerWaitMs);
  }
  return due;
}

function letGo(step: Step, flight: Undecided, rules: FlightRules, now: number): Step {
  const over = followersOf(flight).filter(({ since }) => now >= since + rules.followerWaitMs);
  if (over.length === 0) return step;
  const stale = over.filter(({ hasStale }) => hasStale).map(({ id }) => id);
  const refused = over.filter(({ hasStale }) => !hasStale).map(({ id }) => id);
  const effects: FlightEffect[] = [];
  if (stale.length > 0) effects.push({ kind: "stale", waiters: stale });
  if (refused.length > 0) effects.push({ kind: "refuse", waiters: refused, code: "upstream-timeout" });
  const left = without(step.state, flight, over);
  return then(step, left.state, [...effects, ...left.effects]);
}

function sendSecond(step: Step, flight: Undecided, rules: FlightRules, now: number): Step {
  const [request] = flight.requests;
  const follower = seconderOf(flight);
  if (request === undefined || follower === undefined || now < request.begunAt + rules.lockAgeMs) return step;
  if (flight.isFenced) return moveOn(step, flight, rules, now);
  const id = step.state.lastId + 1;
  const second = { id, owner: follower.id, fields: follower.fields, begunAt: now };
  const state = put({ ...step.state, lastId: id }, { ...flight, requests: [request, second], isRetried: true });
  return then(step, state, [{ kind: "fetch", request: id, owner: follower.id }]);
}

/** Who would send a second request for a flight that may have one; nobody where nobody waits for the first but its owner. */
function seconderOf(flight: Undecided): Waiter | undefined {
  return flight.isRetried ? undefined : followersOf(flight)[0];
}

/** What a request from before a purge brings late is of less worth than what others have asked for since: who waits for it goes there. */
function moveOn(step: Step, flight: Undecided, rules: FlightRules, now: number): Step {
  const moved = followersOf(flight).filter(({ isMoved }) => !isMoved);
  const left = without(step.state, { ...flight, isRetried: true }, moved);
  const sent = sendOn(left.state, moved, rules, now);
  return then(step, sent.state, [...left.effects, ...sent.effects]);
}

/** Those who wait for a request of somebody else's. */
function followersOf({ waiters, requests }: Undecided): readonly Waiter[] {
  return waiters.filter(({ id }) => !requests.some(({ owner }) => owner === id));
}

function then(step: Step, state: FlightState, effects: readonly FlightEffect[]): Step {
  return { state, effects: [...step.effects, ...effects] };
}
