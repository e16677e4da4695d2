import { end, giveUpUnread, leave, receive } from "./flight-body.ts";
import { board } from "./flight-boarding.ts";
import { fail, type RequestFailure } from "./flight-failure.ts";
import { land } from "./flight-landing.ts";
import type { FlightRules } from "./flight-rules.ts";
import { drop, put, type FieldValues, type FlightEffect, type FlightState, type Step } from "./flight-state.ts";
import { pass } from "./flight-time.ts";
import type { HeadFacts } from "./sharing.ts";

/** What happens to the flights of a key. Requests are those to the origin, by the numbers that `fetch` effects gave them. */
export type FlightEvent =
  | { readonly kind: "join"; readonly waiter: number; readonly fields: FieldValues; readonly hasStale: boolean }
  | { readonly kind: "leave"; readonly waiter: number }
  | { readonly kind: "head"; readonly request: number; readonly head: HeadFacts }
  | ({ readonly kind: "failed"; readonly request: number } & RequestFailure)
  | { readonly kind: "bytes"; readonly request: number; readonly bytes: number }
  | { readonly kind: "end"; readonly request: number; readonly isComplete: boolean }
  /** The key, or what its responses are tagged with, was purged. */
  | { readonly kind: "purged" }
  /** Somebody who went by himself got what can be shared. */
  | { readonly kind: "shareable" }
  | { readonly kind: "tick" };

/**
 * Takes in an event and says what is to be done. Of everything that is promised of coalescing this is the whole: one request to the origin
 * for a key and variant, nothing shared that isn't for everybody, nobody left waiting.
 *
 * The caller does what `effects` say in their order, tells what came of it, and sends a `tick` at `nextDue`.
 *
 * @param now in ms, by a steady clock (`steady-clock.ts`): those who wait would else wait for as long as the clock stepped back. So are all
 * times of the state and of the effects.
 */
export function step(state: FlightState, event: FlightEvent, rules: FlightRules, now: number): Step {
  switch (event.kind) {
    case "join": {
      const { waiter: id, fields, hasStale } = event;
      return board(state, { id, fields, hasStale, since: now, isMoved: false, isRetried: false }, rules, now);
    }
    case "leave":
      return leave(state, event.waiter);
    case "head":
      return land(state, event.request, event.head, rules, now);
    case "failed":
      return fail(state, event.request, event, rules, now);
    case "bytes":
      return receive(state, event.request, event.bytes, rules);
    case "end":
      return end(state, event.request, event.isComplete, rules, now);
    case "purged":
      return fence(state);
    case "shareable":
      return { state: { ...state, passUntil: 0 }, effects: [] };
    case "tick":
      return pass(state, rules, now);
  }
}

/** What is in the air may be of before the purge: those who wait get it, nobody else does, and it is not kept. */
function fence(state: FlightState): Step {
  let next = state;
  const effects: FlightEffect[] = [];
  for (const flight of state.flights) {
    if (flight.kind === "finished") {
      next = drop(next, flight.id);
      effects.push({ kind: "forget", request: flight.request.id });
      continue;
    }
    next = put(next, { ...flight, isFenced: true });
    if (flight.kind === "undecided") continue;
    const left = giveUpUnread(next, flight.request.id);
    next = left.state;
    effects.push(...left.effects);
  }
  return { state: next, effects };
}
