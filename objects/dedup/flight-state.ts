import { variantOf } from "./variant.ts";

/** Header fields by lower-case name. */
export type FieldValues = Readonly<Record<string, string>>;

/** Somebody who waits for a response. Times in ms, by the steady clock of the object. */
export interface Waiter {
  /** Never used twice in the life of an object. */
  readonly id: number;
  /** What it asks with: those of its fields that a response may vary by. */
  readonly fields: FieldValues;
  /** Whether it has something stale that it may use if the origin fails. */
  readonly hasStale: boolean;
  /** Since when it waits, for the flight that it is in. */
  readonly since: number;
  /** Whether it was sent from one flight to another already, as its variant turned out to be different. */
  readonly isMoved: boolean;
  /** Whether a request that it waited for has failed: one that it makes itself is the second, after which there is none. */
  readonly isRetried: boolean;
}

/** A request that is under way to the origin. */
export interface OriginRequest {
  readonly id: number;
  /** Whose request it is: the response is made for that one, and only for him until it is known to be for others. */
  readonly owner: number;
  readonly fields: FieldValues;
  readonly begunAt: number;
}

/** What several requests for one variant of one key share. */
export type Flight = Undecided | Decided;

/** Nobody has seen a byte. */
export interface Undecided {
  readonly kind: "undecided";
  readonly id: number;
  readonly waiters: readonly Waiter[];
  /** One; two after the lock's age. */
  readonly requests: readonly OriginRequest[];
  /** Whether it has had its second request, or is the second of one that failed. */
  readonly isRetried: boolean;
  /** Began before a purge: it is delivered, and neither stored nor joined. */
  readonly isFenced: boolean;
}

/** The head of a response is there, and it is known whom it is for. */
export interface Decided {
  readonly kind: "streaming" | "finished";
  readonly id: number;
  /** The request to the origin whose response it is. */
  readonly request: OriginRequest;
  /** What the response varies by. */
  readonly vary: readonly string[];
  /** Those who still read. */
  readonly readers: readonly number[];
  /** Until when somebody may join: it is fresh, and the window is open. 0: nobody may. */
  readonly admitsUntil: number;
  readonly isStorable: boolean;
  readonly isFenced: boolean;
  /** Whether every byte so far is kept. */
  readonly isWhole: boolean;
  readonly bytes: number;
}

/** All that one object knows of the flights of its key. Kept in memory: whatever is lost with it is fetched again. */
export interface FlightState {
  readonly flights: readonly Flight[];
  /** What responses of this key varied by when last one was seen. */
  readonly vary: readonly string[];
  /** Until then everybody goes by himself, as the last response could not be shared. */
  readonly passUntil: number;
  /** What failed last and until when that is an answer. */
  readonly failed: { readonly until: number; readonly code: FailureCode } | undefined;
  readonly lastId: number;
}

/** The gateway's answer to those who wait for what has failed: the code of one of its errors; `upstream-error` where the origin answered. */
export type FailureCode = string;

/** What is to be done. Each waiter is served, released, given the stale or refused, once. */
export type FlightEffect =
  /** Ask the origin, with the request of a waiter. */
  | { readonly kind: "fetch"; readonly request: number; readonly owner: number }
  | { readonly kind: "abort"; readonly request: number }
  /** Give the response of a request, from its first byte. */
  | {
      readonly kind: "serve";
      readonly waiters: readonly number[];
      readonly request: number;
      readonly role: "leader" | "follower";
    }
  /** Have them ask the origin by themselves, in parallel; and whoever comes to them until then. */
  | { readonly kind: "release"; readonly waiters: readonly number[]; readonly until: number }
  | { readonly kind: "stale"; readonly waiters: readonly number[] }
  | { readonly kind: "refuse"; readonly waiters: readonly number[]; readonly code: FailureCode }
  /** The body ended before its end: break off what was begun. */
  | { readonly kind: "cut"; readonly waiters: readonly number[]; readonly request: number }
  /** The whole body is there and may be kept in the tiers. */
  | { readonly kind: "store"; readonly request: number }
  /** Nobody will join any more: what is kept of the body is only for those who still read it. */
  | { readonly kind: "forget"; readonly request: number };

/** A state and what is to be done on the way to it, in order. */
export interface Step {
  readonly state: FlightState;
  readonly effects: readonly FlightEffect[];
}

/** An object that has just started. */
export const NO_FLIGHTS: FlightState = { flights: [], vary: [], passUntil: 0, failed: undefined, lastId: 0 };

/** The variant that fields ask for. */
export function variantOfValues(vary: readonly string[], fields: FieldValues): string {
  // An own property only: "constructor" is a field name too.
  return variantOf(vary, { get: (name) => (Object.hasOwn(fields, name) ? (fields[name] ?? null) : null) });
}

/** A state with a flight in the place of the one of its id, or added. */
export function put(state: FlightState, flight: Flight): FlightState {
  const isKnown = state.flights.some(({ id }) => id === flight.id);
  const flights = isKnown
    ? state.flights.map((one) => (one.id === flight.id ? flight : one))
    : [...state.flights, flight];
  return { ...state, flights };
}

/** A state without a flight. */
export function drop(state: FlightState, id: number): FlightState {
  return { ...state, flights: state.flights.filter((flight) => flight.id !== id) };
}

/** The flight that waits for the head of a request. */
export function undecidedOf(state: FlightState, request: number): Undecided | undefined {
  return state.flights.find(
    (flight): flight is Undecided => flight.kind === "undecided" && flight.requests.some(({ id }) => id === request),
  );
}

/** The flight whose body a request brings. */
export function streamingOf(state: FlightState, request: number): Decided | undefined {
  return state.flights.find(
    (flight): flight is Decided => flight.kind === "streaming" && flight.request.id === request,
  );
}
