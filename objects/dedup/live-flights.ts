import type { Pool } from "../connection-pool/pool.ts";
import { ORIGIN_SAYS, type FlightMessage, type OriginFailed, type OriginSays } from "./flight-messages.ts";
import { retained } from "./flight-body.ts";
import { FLIGHT_RULES, type FlightRules } from "./flight-rules.ts";
import { NO_FLIGHTS, streamingOf, type FlightEffect, type FlightState } from "./flight-state.ts";
import { nextDue } from "./flight-time.ts";
import { step, type FlightEvent } from "./flights.ts";
import { newPassengers } from "./passengers.ts";
import { newSharedBody, type SharedBody } from "./shared-body.ts";
import { newSharedRoom } from "./shared-room.ts";
import { advance, newSteadyClock } from "../steady-clock.ts";
import { createWakeUp } from "../wake-up.ts";

/** Asks the origin on behalf of a flight: the gateway's inner entrypoint, which says in a field of the response what it is. */
export type AskOrigin = (message: FlightMessage, signal: AbortSignal) => Promise<Response>;

/** The flights of one key as they really are: in memory, with what is lost with it. */
export interface LiveFlights {
  /** Takes somebody aboard. The body of the answer begins with what came of it, as `sealAnswer` writes it, once that is known. */
  join(message: FlightMessage): Response;
  /** Somebody who went alone has got what can be shared. */
  noteShareable(): void;
  /** Whether nobody waits or reads, and nothing is kept for those who come late. */
  isIdle(): boolean;
}

/** A request that is under way to the origin, and what has come of it. */
interface UnderWay {
  readonly stop: AbortController;
  readonly askedAt: number;
  /** Where somebody keeps it already. */
  readonly places: Set<string>;
  response?: Response;
  says?: Extract<OriginSays, { kind: "head" }>;
  body?: SharedBody;
}

/** The first bite of a body, and those of one that fills it: each bite of each reader leaves garbage. */
const CHUNK_BYTES = 65_536;
const LARGE_CHUNK_BYTES = 524_288;
/** A follower waits no longer for another's request. */
const { followerWaitMs } = FLIGHT_RULES;

/** For what all objects of this isolate keep of bodies: it has 128 MB. */
const room = newSharedRoom(64 << 20);

/**
 * Does what the state machine of `flights.ts` says, with real requests and streams.
 *
 * @param pool of the object: the platform lets it wait for six heads at once.
 */
export function newLiveFlights(askOrigin: AskOrigin, pool: Pool): LiveFlights {
  const passengers = newPassengers(now, (id) => tell({ kind: "leave", waiter: id }));
  const requests = new Map<number, UnderWay>();
  /** What is forgotten and still read by some. */
  const lingering = new Set<SharedBody>();
  const share = room();
  /** What failed last, by code. */
  const failures = new Map<string, OriginFailed>();
  let state: FlightState = NO_FLIGHTS;
  let clock = newSteadyClock(Date.now());
  let rules: FlightRules = FLIGHT_RULES;
  const wakeUp = createWakeUp(() => tell({ kind: "tick" }));

  function now(): number {
    clock = advance(clock, Date.now());
    return clock.at;
  }

  function tell(event: FlightEvent): void {
    const maxObjectBytes = Math.min(rules.maxObjectBytes, retained(state) + takeRoom());
    const next = step(state, event, { ...rules, maxObjectBytes }, now());
    state = next.state;
    for (const effect of next.effects) perform(effect);
    takeRoom();
    const due = nextDue(state, rules);
    wakeUp.in(due === Infinity ? null : due - now());
  }

  /** Says what is kept, and gives what there is room for beside that. */
  function takeRoom(): number {
    let bytes = 0;
    for (const { body } of requests.values()) bytes += body?.kept() ?? 0;
    for (const one of lingering) {
      if (one.kept() === 0) lingering.delete(one);
      bytes += one.kept();
    }
    return share.take(bytes);
  }

  function perform(effect: FlightEffect): void {
    switch (effect.kind) {
      case "fetch":
        return void fly(effect.request, effect.owner);
      case "abort":
        return abandon(effect.request);
      case "serve":
        for (const id of effect.waiters) void serve(id, effect.request, effect.role);
        return;
      case "release":
        return passengers.answer(effect.waiters, { kind: "alone", forMs: Math.max(0, effect.until - now()) });
      case "stale":
        return passengers.answer(effect.waiters, { kind: "stale" });
      case "refuse":
        return passengers.answer(effect.waiters, { kind: "failed", failure: failureOf(effect.code) });
      case "cut":
        return requests.get(effect.request)?.body?.end(false);
      case "forget":
        return forget(effect.request);
      case "store":
        // Whoever fetched it stores it as it comes.
        return;
    }
  }

  /** What is forgotten may still be read by some. */
  function forget(request: number): void {
    const body = requests.get(request)?.body;
    requests.delete(request);
    body?.close();
    if (body !== undefined) lingering.add(body);
  }

  function failureOf(code: string): OriginFailed {
    const detail = "The origin failed the request that this one waited for.";
    return failures.get(code) ?? { code, detail, wasSent: true, ...(code === "upstream-error" && { retryAfter: "1" }) };
  }

  async function serve(id: number, request: number, role: "leader" | "follower"): Promise<void> {
    const place = passengers.messageOf(id)?.place;
    const { says, response, body, places } = requests.get(request) ?? {};
    if (place === undefined || says === undefined || response === undefined || body === undefined) return;
    const isKeeper = places?.has(place) === false;
    places?.add(place);
    const { kind: _kind, facts: _facts, ...fetched } = says;
    const { status, headers } = response;
    const fields = [...headers].filter(([name]) => name !== ORIGIN_SAYS);
    await passengers.deliver(id, body, { kind: "served", role, isKeeper, status, fields, ...fetched });
    takeRoom();
  }

  function abandon(request: number): void {
    const underWay = requests.get(request);
    requests.delete(request);
    underWay?.stop.abort();
    underWay?.body?.end(false);
    void underWay?.response?.body?.cancel().catch(() => {});
  }

  /** Makes a request to the origin, and tells what comes of it. */
  async function fly(request: number, owner: number): Promise<void> {
    const message = passengers.messageOf(owner);
    if (message === undefined) return;
    const underWay: UnderWay = { stop: new AbortController(), askedAt: Date.now(), places: new Set([""]) };
    requests.set(request, underWay);
    const says = await headOf(message, underWay);
    // Given up meanwhile.
    if (requests.get(request) !== underWay) return void underWay.response?.body?.cancel().catch(() => {});
    if (says.kind === "failed") {
      const { failure } = says;
      requests.delete(request);
      failures.set(failure.code, failure);
      return tell({ kind: "failed", request, code: failure.code, wasSent: failure.wasSent });
    }
    underWay.says = says;
    const body = newSharedBody();
    underWay.body = body;
    const declared = Number(underWay.response?.headers.get("content-length") ?? 0);
    // What is not kept whole breaks off whoever is slower than the others: a download is not worth that.
    const isLarge = declared > rules.maxRetainedBytes;
    tell({ kind: "head", request, head: isLarge ? { ...says.facts, isPrivate: true } : says.facts });
    if (requests.get(request) === underWay) await bring(request, underWay, body);
  }

  async function headOf(message: FlightMessage, underWay: UnderWay): Promise<OriginSays> {
    const { route, placement, totalMs } = message;
    const release = await pool.acquire(`${route} ${placement?.backend ?? ""}`, underWay.askedAt + totalMs);
    if (release === "timed-out") return failedAs("upstream-timeout", "The request had no turn in time.", false);
    try {
      if (underWay.stop.signal.aborted) return failedAs("upstream-timeout", "Nobody waits for it any more.", false);
      underWay.response = await askOrigin(message, underWay.stop.signal);
      const said = underWay.response.headers.get(ORIGIN_SAYS);
      if (said === null) return failedAs("dependency-unavailable", "Nothing was said of the response.", false);
      const says: OriginSays = JSON.parse(said);
      return says;
    } catch (error) {
      return failedAs("upstream-unreachable", String(error), true);
    } finally {
      release();
    }
  }

  async function bring(request: number, { response }: UnderWay, body: SharedBody): Promise<void> {
    let isComplete = false;
    try {
      isComplete = await moveAll(response?.body ?? null, request, body);
    } catch {
      // It broke off.
    }
    body.end(isComplete);
    tell({ kind: "end", request, isComplete });
  }

  async function moveAll(
    source: ReadableStream<Uint8Array> | null,
    request: number,
    body: SharedBody,
  ): Promise<boolean> {
    const reader = source?.getReader({ mode: "byob" });
    let buffer = new Uint8Array(CHUNK_BYTES);
    for (;;) {
      if (streamingOf(state, request)?.isWhole !== true) body.close();
      await body.room();
      const { done = true, value } = (await reader?.read(buffer)) ?? {};
      if (done || value === undefined) return requests.has(request);
      // A small bite would keep its whole buffer alive.
      const isFull = value.byteLength === value.buffer.byteLength;
      body.add(isFull ? value : value.slice());
      buffer = isFull ? new Uint8Array(LARGE_CHUNK_BYTES) : new Uint8Array(value.buffer);
      tell({ kind: "bytes", request, bytes: value.byteLength });
    }
  }

  return {
    join(message) {
      const { totalMs, windowMs, coalesce, freshAfter } = message;
      rules = {
        ...FLIGHT_RULES,
        windowMs,
        coalesce,
        headersMs: totalMs,
        followerWaitMs: Math.min(totalMs, followerWaitMs),
      };
      if (isOutdated(freshAfter)) tell({ kind: "purged" });
      const { id, readable } = passengers.board(message);
      tell({ kind: "join", waiter: id, fields: Object.fromEntries(message.fields), hasStale: message.hasStale });
      return new Response(readable);
    },
    noteShareable: () => tell({ kind: "shareable" }),
    isIdle: () => passengers.isEmpty() && state.flights.length === 0,
  };

  /** Whether something in the air was asked for too early for somebody. Once fenced it is not joined. */
  function isOutdated(freshAfter: number): boolean {
    if (freshAfter === 0) return false;
    return state.flights.some((flight) => {
      if (flight.isFenced) return false;
      const asked = flight.kind === "undecided" ? flight.requests : [flight.request];
      return asked.some(({ id }) => (requests.get(id)?.askedAt ?? 0) <= freshAfter);
    });
  }
}

function failedAs(code: string, detail: string, wasSent: boolean): OriginSays {
  return { kind: "failed", failure: { code, detail, wasSent } };
}
