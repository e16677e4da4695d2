import { boardAll } from "./flight-boarding.ts";
import type { FlightRules } from "./flight-rules.ts";
import {
  drop,
  put,
  variantOfValues,
  type FlightEffect,
  type FlightState,
  type Step,
  type Undecided,
  type Waiter,
} from "./flight-state.ts";

/**
 * Sends those on who wait for a response that is not of their variant, each once: an origin that varies by another field each time would
 * else send them on for ever. Who has been sent on before goes by himself.
 */
export function sendOn(state: FlightState, waiters: readonly Waiter[], rules: FlightRules, now: number): Step {
  const released = waiters.filter(({ isMoved }) => isMoved).map(({ id }) => id);
  const effects: FlightEffect[] = released.length > 0 ? [{ kind: "release", waiters: released, until: now }] : [];
  const moved = waiters
    .filter(({ isMoved }) => !isMoved)
    .map((waiter) => Object.assign({}, waiter, { isMoved: true, since: now }));
  const boarded = boardAll(state, moved, rules, now);
  return { state: boarded.state, effects: [...effects, ...boarded.effects] };
}

/** Now that it is known what the key's responses vary by: sends those on who wait for a request of another variant. */
export function regroup(state: FlightState, rules: FlightRules, now: number): Step {
  let next = state;
  const effects: FlightEffect[] = [];
  for (const { id } of state.flights) {
    // As it is now: those sent on before may have come to it.
    const flight = next.flights.find((one) => one.id === id);
    if (flight?.kind !== "undecided") continue;
    const strangers = flight.waiters.filter((waiter) => !isExpected(state, flight, waiter));
    if (strangers.length === 0) continue;
    const left = without(next, flight, strangers);
    const sent = sendOn(left.state, strangers, rules, now);
    next = sent.state;
    effects.push(...left.effects, ...sent.effects);
  }
  return { state: next, effects };
}

/** Whether a flight's requests are of a waiter's variant, by what is known of the key. */
function isExpected({ vary }: FlightState, { requests }: Undecided, waiter: Waiter): boolean {
  const variant = variantOfValues(vary, waiter.fields);
  return requests.some(({ fields }) => variantOfValues(vary, fields) === variant);
}

/** A state in which some wait for a flight no more; one that nobody waits for is given up. */
export function without(state: FlightState, flight: Undecided, gone: readonly Waiter[]): Step {
  const ids = new Set(gone.map(({ id }) => id));
  const waiters = flight.waiters.filter(({ id }) => !ids.has(id));
  if (waiters.length > 0) return { state: put(state, { ...flight, waiters }), effects: [] };
  const effects = flight.requests.map(({ id }) => ({ kind: "abort", request: id }) as const);
  return { state: drop(state, flight.id), effects };
}
