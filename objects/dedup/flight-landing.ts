import { regroup, sendOn } from "./flight-regrouping.ts";
import { failWaiters } from "./flight-failure.ts";
import type { FlightRules } from "./flight-rules.ts";
import {
  drop,
  put,
  undecidedOf,
  variantOfValues,
  type Decided,
  type FlightEffect,
  type FlightState,
  type OriginRequest,
  type Step,
  type Undecided,
  type Waiter,
} from "./flight-state.ts";
import { isKeepable, sharingOf, type HeadFacts } from "./sharing.ts";

/** Decides, when the head of a response is there, who gets it, once and for all. */
export function land(state: FlightState, id: number, head: HeadFacts, rules: FlightRules, now: number): Step {
  const flight = undecidedOf(state, id);
  const request = flight?.requests.find((one) => one.id === id);
  if (flight === undefined || request === undefined) return { state, effects: [{ kind: "abort", request: id }] };
  const sharing = sharingOf(head, rules);
  const landed = { flight, request, isStorable: isKeepable(head) };
  switch (sharing.kind) {
    case "all":
      return share(state, { ...landed, vary: sharing.vary, forMs: sharing.forMs }, rules, now);
    case "waiting":
      return share(state, { ...landed, vary: sharing.vary, forMs: 0 }, rules, now);
    case "alone":
      return keepApart(state, landed, rules, now);
    case "error":
      return failOthers(state, landed, rules, now);
  }
}

interface Landed {
  readonly flight: Undecided;
  readonly request: OriginRequest;
  readonly isStorable: boolean;
}

interface Shared extends Landed {
  readonly vary: readonly string[];
  readonly forMs: number;
}

function share(state: FlightState, shared: Shared, rules: FlightRules, now: number): Step {
  const { flight, request, vary, forMs, isStorable } = shared;
  const variant = variantOfValues(vary, request.fields);
  const ours: Waiter[] = [];
  const others: Waiter[] = [];
  for (const waiter of flight.waiters) {
    (variantOfValues(vary, waiter.fields) === variant ? ours : others).push(waiter);
  }
  const decided: Decided = {
    kind: "streaming",
    id: flight.id,
    request,
    vary,
    readers: ours.map(({ id }) => id),
    admitsUntil: forMs > 0 ? now + forMs : 0,
    isStorable,
    isFenced: flight.isFenced,
    isWhole: true,
    bytes: 0,
  };
  const effects: FlightEffect[] = [...aborts(flight, request), ...served(decided)];
  let next: FlightState = { ...put(state, decided), vary, passUntil: 0, failed: undefined };
  if (decided.readers.length === 0 && !willStore(decided)) {
    next = drop(next, flight.id);
    effects.push({ kind: "abort", request: request.id });
  }
  if (vary.join() !== state.vary.join()) {
    const regrouped = regroup(next, rules, now);
    next = regrouped.state;
    effects.push(...regrouped.effects);
  }
  const sent = sendOn(next, others, rules, now);
  return { state: sent.state, effects: [...effects, ...sent.effects] };
}

/** The response is its owner's alone. Everybody else is let go at once, in parallel; one that has a request of its own keeps that. */
function keepApart(state: FlightState, landed: Landed, rules: FlightRules, now: number): Step {
  const { flight, request } = landed;
  const until = now + rules.hitForMissMs;
  const step = serveOwner(state, landed);
  const effects: FlightEffect[] = [...step.effects];
  let next = { ...step.state, passUntil: until };
  const rest = flight.requests.filter(({ id }) => id !== request.id);
  const own = new Set([request.owner]);
  for (const other of rest) {
    const owner = flight.waiters.find(({ id }) => id === other.owner);
    if (owner === undefined) {
      effects.push({ kind: "abort", request: other.id });
      continue;
    }
    own.add(owner.id);
    next = put(next, { ...flight, id: other.id, waiters: [owner], requests: [other], isRetried: true });
  }
  const waiters = flight.waiters.filter(({ id }) => !own.has(id)).map(({ id }) => id);
  if (waiters.length > 0) effects.push({ kind: "release", waiters, until });
  return { state: next, effects };
}

/** The origin failed: its answer is its owner's. The others wait for the second request if there is one. */
function failOthers(state: FlightState, landed: Landed, rules: FlightRules, now: number): Step {
  const { flight, request } = landed;
  const step = serveOwner(state, landed);
  const waiters = flight.waiters.filter(({ id }) => id !== request.owner);
  const requests = flight.requests.filter(({ id }) => id !== request.id);
  // The owner's response lives on under the number of its request, the flight of the others under one that is still free.
  const id = requests[0]?.id ?? step.state.lastId + 1;
  const left: Undecided = { ...flight, id, waiters, requests };
  const after = failWaiters({ ...step.state, lastId: Math.max(id, step.state.lastId) }, left, {
    code: "upstream-error",
    mayRetry: true,
    now,
    rules,
  });
  return { state: after.state, effects: [...step.effects, ...after.effects] };
}

/** Takes the flight away and gives the response to the one that it was made for; where he has gone, to nobody. */
function serveOwner(state: FlightState, { flight, request, isStorable }: Landed): Step {
  const rest = drop(state, flight.id);
  if (!flight.waiters.some(({ id }) => id === request.owner)) {
    return { state: rest, effects: [{ kind: "abort", request: request.id }] };
  }
  const decided: Decided = {
    kind: "streaming",
    id: request.id,
    request,
    vary: [],
    readers: [request.owner],
    admitsUntil: 0,
    isStorable,
    isFenced: flight.isFenced,
    isWhole: isStorable,
    bytes: 0,
  };
  return { state: put(rest, decided), effects: served(decided) };
}

function served({ readers, request }: Decided): readonly FlightEffect[] {
  const followers = readers.filter((id) => id !== request.owner);
  const effects: FlightEffect[] = [];
  if (readers.length > followers.length) {
    effects.push({ kind: "serve", waiters: [request.owner], request: request.id, role: "leader" });
  }
  if (followers.length > 0) effects.push({ kind: "serve", waiters: followers, request: request.id, role: "follower" });
  return effects;
}

function aborts(flight: Undecided, but: OriginRequest): readonly FlightEffect[] {
  return flight.requests.filter(({ id }) => id !== but.id).map(({ id }) => ({ kind: "abort", request: id }));
}

/** Whether a response is worth reading to its end although nobody reads it. */
export function willStore({ isStorable, isFenced, isWhole }: Decided): boolean {
  return isStorable && !isFenced && isWhole;
}
