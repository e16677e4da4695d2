import type { FlightRules } from "./flight-rules.ts";
import {
  put,
  variantOfValues,
  type Decided,
  type FlightEffect,
  type FlightState,
  type Step,
  type Undecided,
  type Waiter,
} from "./flight-state.ts";

/**
 * Finds a place for somebody who has come: by himself where the last response could not be shared, on a flight of his variant that still
 * admits, else on a new one, which he leads.
 */
export function board(state: FlightState, waiter: Waiter, rules: FlightRules, now: number): Step {
  if (now < state.passUntil) return release(state, waiter, state.passUntil);
  const decided = state.flights.find((flight) => flight.kind !== "undecided" && admits(flight, waiter, now));
  if (decided !== undefined && decided.kind !== "undecided") return serve(state, decided, waiter);
  const variant = variantOfValues(state.vary, waiter.fields);
  const waiting = state.flights.find((flight): flight is Undecided => isFor(flight, variant, state.vary));
  if (waiting !== undefined) {
    if (waiting.waiters.length >= rules.maxWaiters) return release(state, waiter, now);
    return { state: put(state, { ...waiting, waiters: [...waiting.waiters, waiter] }), effects: [] };
  }
  if (state.failed !== undefined && now < state.failed.until) return fail(state, waiter, state.failed.code);
  const underWay = state.flights.filter(({ kind }) => kind !== "finished").length;
  return underWay >= rules.maxFlights ? release(state, waiter, now) : lead(state, waiter, now);
}

/** Finds places for several, one after the other. */
export function boardAll(state: FlightState, waiters: readonly Waiter[], rules: FlightRules, now: number): Step {
  let next = state;
  const effects: FlightEffect[] = [];
  for (const waiter of waiters) {
    const step = board(next, waiter, rules, now);
    next = step.state;
    effects.push(...step.effects);
  }
  return { state: next, effects };
}

/** Begins a flight with a request of its first waiter. */
function lead(state: FlightState, waiter: Waiter, now: number): Step {
  const id = state.lastId + 1;
  const request = { id, owner: waiter.id, fields: waiter.fields, begunAt: now };
  const flight: Undecided = {
    kind: "undecided",
    id,
    waiters: [{ ...waiter, since: now }],
    requests: [request],
    isRetried: waiter.isRetried,
    isFenced: false,
  };
  return {
    state: put({ ...state, lastId: id }, flight),
    effects: [{ kind: "fetch", request: id, owner: waiter.id }],
  };
}

/** Whether somebody may still have a response from its first byte. */
function admits(flight: Decided, waiter: Waiter, now: number): boolean {
  if (flight.isFenced || !flight.isWhole || now >= flight.admitsUntil) return false;
  return variantOfValues(flight.vary, waiter.fields) === variantOfValues(flight.vary, flight.request.fields);
}

/** Whether a flight is expected to bring a variant: what its request asked for, by what is known of the key now. */
function isFor(flight: FlightState["flights"][number], variant: string, vary: readonly string[]): boolean {
  if (flight.kind !== "undecided" || flight.isFenced) return false;
  return flight.requests.some(({ fields }) => variantOfValues(vary, fields) === variant);
}

function serve(state: FlightState, flight: Decided, waiter: Waiter): Step {
  const readers = flight.kind === "finished" ? flight.readers : [...flight.readers, waiter.id];
  const effect: FlightEffect = {
    kind: "serve",
    waiters: [waiter.id],
    request: flight.request.id,
    role: "follower",
  };
  return { state: put(state, { ...flight, readers }), effects: [effect] };
}

function release(state: FlightState, waiter: Waiter, until: number): Step {
  return { state, effects: [{ kind: "release", waiters: [waiter.id], until }] };
}

function fail(state: FlightState, waiter: Waiter, code: NonNullable<FlightState["failed"]>["code"]): Step {
  const waiters = [waiter.id];
  return { state, effects: [waiter.hasStale ? { kind: "stale", waiters } : { kind: "refuse", waiters, code }] };
}
