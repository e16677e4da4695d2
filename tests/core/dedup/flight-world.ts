import { FLIGHT_RULES, type FlightRules } from "../../../objects/dedup/flight-rules.ts";
import { NO_FLIGHTS, type FlightEffect, type FlightState } from "../../../objects/dedup/flight-state.ts";
import { nextDue } from "../../../objects/dedup/flight-time.ts";
import { step, type FlightEvent } from "../../../objects/dedup/flights.ts";
import { sharingOf, type HeadFacts } from "../../../objects/dedup/sharing.ts";

/** Somebody who asks for the key. Times in ms from the beginning. */
export interface Client {
  readonly at: number;
  readonly fields?: Readonly<Record<string, string>>;
  readonly hasStale?: boolean;
  /** When it gives up; undefined: never. */
  readonly leavesAt?: number | undefined;
}

/** What the origin does with a request. */
export interface OriginReply {
  /** Until its head is there, or until it fails; Infinity: never. */
  readonly afterMs: number;
  /** What the head says beside what is shareable; or how it fails. */
  readonly head: Partial<HeadFacts> | "unreachable" | "reset";
  /** How long the body takes. */
  readonly bodyMs?: number;
  readonly bytes?: number;
  /** The body ends before its end. */
  readonly isCut?: boolean;
}

/** Everything that happens to one key. */
export interface World {
  readonly rules?: Partial<FlightRules> | undefined;
  readonly clients: readonly Client[];
  readonly origin: (fields: Readonly<Record<string, string>>, nth: number) => OriginReply;
  readonly purgesAt?: readonly number[];
}

/** What a client got: the response of a request, made for it or shared; or none. */
export interface Outcome {
  readonly kind: "leader" | "follower" | "released" | "stale" | "refused";
  readonly at: number;
  /** The request whose response it got, by the flights or by itself. */
  readonly request: number | undefined;
}

/** A request that reached the origin. */
export interface Asked {
  readonly id: number;
  readonly client: number;
  readonly at: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly reply: OriginReply;
  /** Whether it was made for several. */
  readonly isShared: boolean;
  /** When its head, its failure or its end by us was there; Infinity: never. */
  decidedAt: number;
  head: HeadFacts | undefined;
}

/** What came of a world. */
export interface Seen {
  readonly outcomes: ReadonlyMap<number, Outcome>;
  readonly asked: readonly Asked[];
  readonly stored: readonly number[];
  readonly cut: readonly number[];
  readonly effects: readonly { readonly at: number; readonly effect: FlightEffect }[];
  readonly state: FlightState;
}

const SHAREABLE: HeadFacts = {
  status: 200,
  vary: [],
  hasSetCookie: false,
  isPrivate: false,
  isNoStore: false,
  isNoCache: false,
  isStorable: true,
  ttlMs: 60_000,
  staleWhileRevalidateMs: 0,
};
/** More steps than any world takes; one that takes more goes in circles. */
const MAX_STEPS = 20_000;

/** Runs a world on a virtual clock until nothing more can happen in it. */
export function fly(world: World): Seen {
  const rules = { ...FLIGHT_RULES, ...world.rules };
  const outcomes = new Map<number, Outcome>();
  const asked: Asked[] = [];
  const stored: number[] = [];
  const cut: number[] = [];
  const effects: { at: number; effect: FlightEffect }[] = [];
  const queue: { at: number; run: () => void }[] = [];
  const gone = new Set<number>();
  const aborted = new Set<number>();
  let state = NO_FLIGHTS;
  let now = 0;

  const plan = (at: number, run: () => void) => {
    if (at !== Infinity) queue.push({ at, run });
  };
  const tell = (event: FlightEvent) => {
    const next = step(state, event, rules, now);
    state = next.state;
    for (const effect of next.effects) {
      effects.push({ at: now, effect });
      perform(effect);
    }
  };
  const settle = (clients: readonly number[], outcome: Omit<Outcome, "at">) => {
    for (const client of clients) {
      if (outcomes.has(client)) throw new Error(`client ${client} was answered twice`);
      if (gone.has(client)) throw new Error(`client ${client} was answered although it has gone`);
      outcomes.set(client, { ...outcome, at: now });
    }
  };
  const ask = (id: number, client: number, isShared: boolean): Asked => {
    const fields = world.clients[client]?.fields ?? {};
    const reply = world.origin(fields, asked.length + 1);
    const one: Asked = { id, client, at: now, fields, reply, isShared, decidedAt: Infinity, head: undefined };
    asked.push(one);
    return one;
  };
  const fetchShared = (request: number, client: number) => {
    const one = ask(request, client, true);
    const { afterMs, head, bodyMs = 0, bytes = 1_000, isCut = false } = one.reply;
    const unlessAborted = (event: FlightEvent) => () => {
      if (!aborted.has(request)) tell(event);
    };
    plan(now + afterMs, () => {
      if (aborted.has(request)) return;
      one.decidedAt = now;
      if (typeof head === "string") {
        tell({ kind: "failed", request, code: "upstream-unreachable", wasSent: head === "reset" });
        return;
      }
      one.head = { ...SHAREABLE, ...head };
      tell({ kind: "head", request, head: one.head });
    });
    if (typeof head === "string") return;
    for (const part of [0, 0.5]) {
      plan(now + afterMs + bodyMs * part, unlessAborted({ kind: "bytes", request, bytes: bytes / 2 }));
    }
    plan(now + afterMs + bodyMs, unlessAborted({ kind: "end", request, isComplete: !isCut }));
  };
  const fetchAlone = (client: number) => {
    const one = ask(-asked.length - 1, client, false);
    const { afterMs, head } = one.reply;
    outcomes.set(client, { kind: "released", at: now, request: one.id });
    plan(now + afterMs, () => {
      one.decidedAt = now;
      if (typeof head === "string") return;
      one.head = { ...SHAREABLE, ...head };
      if (sharingOf(one.head, rules).kind === "all") tell({ kind: "shareable" });
    });
  };
  const perform = (effect: FlightEffect) => {
    switch (effect.kind) {
      case "fetch":
        return fetchShared(effect.request, effect.owner);
      case "abort": {
        aborted.add(effect.request);
        const one = asked.find(({ id }) => id === effect.request);
        if (one !== undefined) one.decidedAt = Math.min(one.decidedAt, now);
        return;
      }
      case "serve":
        return settle(effect.waiters, { kind: effect.role, request: effect.request });
      case "release":
        settle(effect.waiters, { kind: "released", request: undefined });
        for (const client of effect.waiters) fetchAlone(client);
        return;
      case "stale":
        return settle(effect.waiters, { kind: "stale", request: undefined });
      case "refuse":
        return settle(effect.waiters, { kind: "refused", request: undefined });
      case "cut":
        cut.push(...effect.waiters);
        return;
      case "store":
        stored.push(effect.request);
        return;
      case "forget":
        return;
    }
  };

  world.clients.forEach(({ at, fields = {}, hasStale = false, leavesAt }, waiter) => {
    plan(at, () => tell({ kind: "join", waiter, fields, hasStale }));
    if (leavesAt === undefined) return;
    plan(Math.max(at, leavesAt), () => {
      gone.add(waiter);
      tell({ kind: "leave", waiter });
    });
  });
  for (const at of world.purgesAt ?? []) plan(at, () => tell({ kind: "purged" }));

  for (let steps = 0; ; steps++) {
    if (steps > MAX_STEPS) throw new Error("the world goes in circles");
    queue.sort((a, b) => a.at - b.at);
    const due = nextDue(state, rules);
    const [next] = queue;
    if (next === undefined && due === Infinity) break;
    if (next !== undefined && next.at <= due) {
      queue.shift();
      now = next.at;
      next.run();
      continue;
    }
    now = Math.max(now, due);
    tell({ kind: "tick" });
    if (nextDue(state, rules) <= now) throw new Error("a tick left undone what was due");
  }
  return { outcomes, asked, stored, cut, effects, state };
}

/** So many clients that come at once. */
export function crowd(count: number, each: (index: number) => Partial<Client> = () => ({})): readonly Client[] {
  return Array.from({ length: count }, (_, index) => ({ at: 0, ...each(index) }));
}

/** How many clients had each outcome. */
export function tally(seen: Seen): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { kind } of seen.outcomes.values()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
