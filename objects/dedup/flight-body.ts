import { willStore } from "./flight-landing.ts";
import type { FlightRules } from "./flight-rules.ts";
import {
  drop,
  put,
  streamingOf,
  type Decided,
  type FlightEffect,
  type FlightState,
  type Step,
} from "./flight-state.ts";

/** More of a body has come: what is kept of all bodies stays within its bounds, those that are finished giving way first. */
export function receive(state: FlightState, id: number, bytes: number, rules: FlightRules): Step {
  const flight = streamingOf(state, id);
  if (flight === undefined) return { state, effects: [] };
  const isWhole = flight.isWhole && flight.bytes + bytes <= rules.maxRetainedBytes;
  let next = put(state, { ...flight, bytes: flight.bytes + bytes, isWhole });
  const effects: FlightEffect[] = [];
  while (retained(next) > rules.maxObjectBytes) {
    const finished = next.flights.find((one): one is Decided => one.kind === "finished");
    if (finished !== undefined) {
      next = drop(next, finished.id);
      effects.push({ kind: "forget", request: finished.request.id });
      continue;
    }
    next = put(next, { ...flight, bytes: flight.bytes + bytes, isWhole: false });
    break;
  }
  const left = giveUpUnread(next, id);
  return { state: left.state, effects: [...effects, ...left.effects] };
}

/**
 * A body has ended. A whole one is stored if it may be, and kept for those who come late; one that was cut off breaks off everybody who
 * reads it and is never kept.
 */
export function end(state: FlightState, id: number, isComplete: boolean, rules: FlightRules, now: number): Step {
  const flight = streamingOf(state, id);
  if (flight === undefined) return { state, effects: [] };
  const effects: FlightEffect[] = [];
  if (!isComplete) {
    if (flight.readers.length > 0) effects.push({ kind: "cut", waiters: flight.readers, request: id });
    effects.push({ kind: "forget", request: id });
    return { state: drop(state, flight.id), effects };
  }
  if (willStore(flight)) effects.push({ kind: "store", request: id });
  const admitsUntil = Math.min(flight.admitsUntil, now + rules.windowMs);
  if (flight.isFenced || !flight.isWhole || admitsUntil <= now) {
    effects.push({ kind: "forget", request: id });
    return { state: drop(state, flight.id), effects };
  }
  return { state: put(state, { ...flight, kind: "finished", readers: [], admitsUntil }), effects };
}

/** Somebody has gone. Requests that nobody waits for are given up; a body that nobody reads is read on if it will be stored. */
export function leave(state: FlightState, waiter: number): Step {
  let next = state;
  const effects: FlightEffect[] = [];
  for (const flight of state.flights) {
    if (flight.kind === "undecided") {
      const waiters = flight.waiters.filter(({ id }) => id !== waiter);
      if (waiters.length === flight.waiters.length) continue;
      next = waiters.length > 0 ? put(next, { ...flight, waiters }) : drop(next, flight.id);
      if (waiters.length > 0) continue;
      effects.push(...flight.requests.map(({ id }) => ({ kind: "abort", request: id }) as const));
    } else if (flight.readers.includes(waiter)) {
      next = put(next, { ...flight, readers: flight.readers.filter((id) => id !== waiter) });
      const left = giveUpUnread(next, flight.request.id);
      next = left.state;
      effects.push(...left.effects);
    }
  }
  return { state: next, effects };
}

/** Gives up a body that nobody reads and that won't be stored. */
export function giveUpUnread(state: FlightState, id: number): Step {
  const flight = streamingOf(state, id);
  if (flight === undefined || flight.readers.length > 0 || willStore(flight)) return { state, effects: [] };
  return {
    state: drop(state, flight.id),
    effects: [
      { kind: "abort", request: id },
      { kind: "forget", request: id },
    ],
  };
}

/** What of all bodies is kept; of those that are not kept whole only what their slowest reader still needs, which is bounded elsewhere. */
export function retained({ flights }: FlightState): number {
  return flights.reduce((sum, flight) => sum + (flight.kind !== "undecided" && flight.isWhole ? flight.bytes : 0), 0);
}
