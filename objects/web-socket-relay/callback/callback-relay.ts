import { sizeOf } from "../bridge.ts";
import { LOST, relayClose, type Close } from "../close-codes.ts";
import { closeSocket } from "../close-socket.ts";
import { admit, newFlow, type Flow } from "../flow.ts";
import type { LiveSession } from "../live-session.ts";
import type { CallbackTerms } from "../mode-terms.ts";
import { OPENING, REFUSAL, type Opening } from "../opening.ts";
import { placesOf } from "../places.ts";
import { createRegistration } from "../registration.ts";
import type { SessionDescription } from "../session-control.ts";
import { countsOf, logSession, type SessionEnd } from "../session-log.ts";
import { EVENT, readReply, type EventReply } from "./event-reply.ts";
import { callbackStore, noCounts, type Counts, type StoredCallback } from "./stored-callback.ts";
import { encodeEvents, EVENTS_TYPE } from "./websocket-events.ts";

/** One session without an upstream connection, whose object may sleep. */
export interface CallbackRelay {
  /** Asks the backend, and takes the client in if that lets it. */
  open(request: Request, opening: Opening, terms: CallbackTerms): Promise<Response>;
  /** The session, if there is one. */
  session(): LiveSession | undefined;
  message(message: string | ArrayBuffer): Promise<void>;
  /** The client has closed its connection, or lost it. */
  closed(code: number, reason: string): Promise<void>;
  alarm(): Promise<void>;
}

interface Live {
  stored: StoredCallback;
  readonly terms: CallbackTerms;
  /** Undefined: it was lost with the runtime. */
  readonly socket: WebSocket | undefined;
  readonly counts: Counts;
  readonly inward: Flow;
  readonly outward: Flow;
  readonly queue: { readonly message: string | ArrayBuffer; readonly bytes: number }[];
  queuedBytes: number;
  undelivered: number;
  isBusy: boolean;
  /** Resolves when the client's connection has ended. */
  readonly over: PromiseWithResolvers<void>;
  /** What others are told of its end. */
  farewell: Promise<unknown>;
}

const TOO_LARGE: Close = { code: 1009, reason: "message too large" };
const TOO_MANY: Close = { code: 1008, reason: "too many messages" };
const TOO_MUCH: Close = { code: 1013, reason: "too much data" };
const NOT_TAKEN: Close = { code: 1014, reason: "upstream failed" };
const IDLE: Close = { code: 4408, reason: "idle" };
const EXPIRED: Close = { code: 4401, reason: "credentials expired" };
const TOO_OLD: Close = { code: 1012, reason: "open for too long" };

/** A place lasts ten minutes without it, and so does the entry in the listing. */
const RENEW_MS = 240_000;
const OPERATION_MS = 600_000;
const GRACE_MS = 1_000;
const MAX_QUEUED = 256;
/** The backend is told of an end this often, over five minutes. */
const MAX_TRIES = 6;
const RETRY_MS = 5_000;

/** Of the handshake with the gateway, not of the client's request. */
const HANDSHAKE_FIELDS = [
  OPENING,
  "connection",
  "upgrade",
  "sec-websocket-key",
  "sec-websocket-version",
  "sec-websocket-extensions",
];

/** Finds what an object remembers of its session, when it is first asked. */
export function createCallbackRelay(ctx: DurableObjectState, env: Env): CallbackRelay {
  const id = ctx.id.toString();
  const store = callbackStore(ctx.storage);
  const registration = createRegistration(env, id);
  let live: Live | undefined;

  function current(): Live | undefined {
    if (live !== undefined) return live;
    const stored = store.read();
    if (stored === undefined) return undefined;
    const [socket] = ctx.getWebSockets();
    const counts: Counts = socket?.deserializeAttachment() ?? noCounts();
    live = begin(stored, socket, counts);
    return live;
  }

  function begin(stored: StoredCallback, socket: WebSocket | undefined, counts: Counts): Live {
    const { fromClient, fromUpstream, callback } = stored.opening;
    if (callback === undefined) throw new Error("an opening of another mode");
    const now = Date.now();
    const inward = newFlow({ ...fromClient, maxBuffered: 0 }, now);
    const outward = newFlow({ ...fromUpstream, maxBuffered: 0 }, now);
    Object.assign(inward, { messages: counts.messagesIn, bytes: counts.bytesIn });
    return {
      stored,
      terms: callback,
      socket,
      counts,
      inward,
      outward,
      queue: [],
      queuedBytes: 0,
      undelivered: 0,
      isBusy: false,
      over: Promise.withResolvers<void>(),
      farewell: Promise.resolve(),
    };
  }

  async function open(request: Request, opening: Opening, { ping, pong }: CallbackTerms): Promise<Response> {
    const headers = new Headers(request.headers);
    for (const name of HANDSHAKE_FIELDS) headers.delete(name);
    const asked: StoredCallback = {
      opening,
      url: request.url,
      openedAt: Date.now(),
      origin: request.headers.get("origin")?.slice(0, 512) ?? null,
      protocol: null,
      state: null,
      tries: 0,
    };
    const counts = noCounts();
    const answer = await post(asked, counts, { name: "connect", headers, body: null });
    if (!answer.ok) {
      answer.headers.delete(REFUSAL);
      return answer;
    }
    const reply = await readReply(answer, opening.fromUpstream.maxMessage);
    const protocol = answer.headers.get("sec-websocket-protocol");
    const stored = { ...asked, protocol: protocol?.slice(0, 512) ?? null, state: reply.state };
    const { 0: outer, 1: socket } = new WebSocketPair();
    ctx.acceptWebSocket(socket);
    if (ping !== null) ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(ping, pong));
    live = begin(stored, socket, counts);
    store.write(stored);
    plan(live);
    ctx.waitUntil(registration.opened(describe(live)));
    act(live, reply);
    // The backend was told that it is there.
    if (request.signal.aborted) end(live, { by: "client", code: LOST }, { code: LOST });
    const fields = new Headers({
      "x-ws-session": id,
      ...(protocol !== null && { "sec-websocket-protocol": protocol }),
    });
    for (const cookie of answer.headers.getSetCookie()) fields.append("set-cookie", cookie);
    return new Response(null, { status: 101, webSocket: outer, headers: fields });
  }

  interface Event {
    readonly name: "connect" | "message" | "disconnect";
    readonly headers?: Headers;
    readonly body: string | ArrayBuffer | Blob | null;
    readonly close?: string;
  }

  /** Asks the backend by the tail of the route, as any request. */
  function post(stored: StoredCallback, counts: Counts, asked: Event): Promise<Response> {
    const { name, headers = new Headers(), body, close } = asked;
    const { route, requestId, client, placement, handshakeMs } = stored.opening;
    counts.sequence += 1;
    const event = {
      [EVENT.name]: name,
      [EVENT.session]: id,
      [EVENT.sequence]: String(counts.sequence),
      ...(stored.state !== null && { [EVENT.state]: stored.state }),
      ...(close !== undefined && { [EVENT.close]: close }),
    };
    const props = { route, requestId, client, event, ...(placement !== undefined && { placement }) };
    // What is compressed would come here as it is.
    headers.set("accept-encoding", "identity");
    const signal = AbortSignal.timeout(handshakeMs + GRACE_MS);
    return ctx.exports.Origin({ props }).fetch(new Request(stored.url, { method: "POST", headers, body }), { signal });
  }

  async function message(said: string | ArrayBuffer): Promise<void> {
    const own = current();
    if (own === undefined || own.stored.end !== undefined) return;
    const now = Date.now();
    const bytes = sizeOf(said);
    const { inward, counts } = own;
    const verdict = admit(inward, bytes, now);
    if (verdict === "too-large") return refuse(own, TOO_LARGE);
    if (verdict === "too-many") return refuse(own, TOO_MANY);
    const { maxBuffered } = own.stored.opening.fromClient;
    const isFull = own.queue.length >= MAX_QUEUED || (own.queue.length > 0 && own.queuedBytes + bytes > maxBuffered);
    if (verdict === "too-much" || isFull) return refuse(own, TOO_MUCH);
    Object.assign(counts, { messagesIn: inward.messages, bytesIn: inward.bytes, lastInAt: now });
    own.queue.push({ message: said, bytes });
    own.queuedBytes += bytes;
    await work(own);
  }

  function refuse(own: Live, close: Close): void {
    end(own, { by: "gateway", code: close.code ?? null }, close);
  }

  /** One event after the other, in order; who comes while one is under way leaves what he has to it. */
  async function work(own: Live): Promise<void> {
    if (own.isBusy) return;
    own.isBusy = true;
    try {
      while (own.queue.length > 0) await deliver(own);
      own.socket?.serializeAttachment(own.counts);
      if (own.stored.end !== undefined) await tellEnd(own);
    } finally {
      own.isBusy = false;
    }
  }

  async function deliver(own: Live): Promise<void> {
    const { terms, counts, stored } = own;
    const batch = own.queue.splice(0, terms.batch);
    for (const { bytes } of batch) own.queuedBytes -= bytes;
    own.socket?.serializeAttachment(counts);
    const messages = batch.map(({ message: one }) => one);
    const [first = ""] = messages;
    const isText = typeof first === "string";
    const type = terms.batch > 1 ? EVENTS_TYPE : isText ? "text/plain;charset=utf-8" : "application/octet-stream";
    const body = terms.batch > 1 ? encodeEvents(messages) : first;
    try {
      const headers = new Headers({ "content-type": type });
      const answer = await post(stored, counts, { name: "message", headers, body });
      if (!answer.ok) {
        await answer.body?.cancel();
        throw new Error(`the answer is ${answer.status}`);
      }
      act(own, await readReply(answer, stored.opening.fromUpstream.maxMessage));
    } catch (error) {
      own.undelivered += batch.length;
      warn("web-socket-message-not-taken", {
        messages: batch.length,
        error: String(error),
        onFailure: terms.onFailure,
      });
      if (terms.onFailure === "drop") return;
      own.undelivered += own.queue.length;
      own.queue.length = 0;
      end(own, { by: "upstream", code: NOT_TAKEN.code ?? null }, NOT_TAKEN);
    }
  }

  /** Does what the backend has answered. */
  function act(own: Live, { messages, close, state }: EventReply): void {
    if (state !== null && state !== own.stored.state) {
      own.stored = { ...own.stored, state };
      store.write(own.stored);
    }
    if (own.stored.end !== undefined) return;
    if (!messages.every((one) => say(own, one))) return refuse(own, TOO_MUCH);
    if (close !== undefined) end(own, { by: "upstream", code: close.code ?? null }, close);
  }

  function say(own: Live, said: string | ArrayBuffer): boolean {
    const { counts, outward, socket } = own;
    const now = Date.now();
    const bytes = sizeOf(said);
    const verdict = admit(outward, bytes, now);
    if (verdict !== "send" && verdict !== "wait") return false;
    counts.messagesOut += 1;
    counts.bytesOut += bytes;
    counts.lastOutAt = now;
    try {
      socket?.send(said);
      socket?.serializeAttachment(counts);
    } catch {
      // It is gone, which its own event tells.
    }
    return true;
  }

  function end(own: Live, by: SessionEnd, close: Close): void {
    if (own.stored.end !== undefined) return;
    own.stored = { ...own.stored, end: { ...by, reason: close.reason ?? "" } };
    store.write(own.stored);
    // Should the object die before the backend knows.
    store.wake(Date.now() + RETRY_MS);
    if (own.socket !== undefined && close.code !== LOST) closeSocket(own.socket, close);
    const described = describe(own);
    const undelivered = own.undelivered === 0 ? {} : { undelivered: own.undelivered };
    logSession(own.stored.opening, described, by, { ...countsOf(described), ...undelivered });
    own.farewell = Promise.all([registration.closed(id), places(own).leave()]);
    ctx.waitUntil(work(own));
  }

  /** Tells the backend, until it has heard it, and forgets the session. */
  async function tellEnd(own: Live): Promise<void> {
    const { stored, counts, socket, over } = own;
    const { by, code, reason } = stored.end ?? { by: "unseen", code: null, reason: "" };
    const isHeard = await post(stored, counts, { name: "disconnect", body: reason, close: String(code ?? LOST) }).then(
      async (answer) => {
        await answer.body?.cancel();
        return answer.status < 500;
      },
      () => false,
    );
    if (!isHeard && stored.tries + 1 < MAX_TRIES) {
      own.stored = { ...stored, tries: stored.tries + 1 };
      store.write(own.stored);
      return store.wake(Date.now() + RETRY_MS * 2 ** stored.tries);
    }
    if (!isHeard) warn("web-socket-end-not-told", { tries: MAX_TRIES });
    if (by !== "client" && socket !== undefined) {
      await Promise.race([over.promise, scheduler.wait(stored.opening.closeMs)]);
    }
    await Promise.all([own.farewell, store.erase()]);
    live = undefined;
    // The runtime leaves the connection of a client open that has never said anything, and of one that answers no close.
    if (by !== "client" && socket !== undefined) ctx.abort("the session has ended");
  }

  async function closed(code: number, reason: string): Promise<void> {
    const own = current();
    if (own === undefined) return;
    own.over.resolve();
    const { own: violated, other } = relayClose("client", code, reason);
    end(own, { by: "client", code }, code === LOST ? { code: LOST } : (violated ?? other));
    await work(own);
  }

  async function alarm(): Promise<void> {
    const own = current();
    if (own === undefined) return;
    if (own.stored.end !== undefined) return work(own);
    if (own.socket === undefined) {
      end(own, { by: "unseen", code: LOST }, { code: LOST });
      return work(own);
    }
    const now = Date.now();
    const { validUntil, maxLifetimeMs, idleMs } = own.stored.opening;
    if (now >= (validUntil ?? Infinity)) return refuse(own, EXPIRED);
    if (now >= own.stored.openedAt + maxLifetimeMs) return refuse(own, TOO_OLD);
    if (now >= lastAt(own) + idleMs) return refuse(own, IDLE);
    plan(own);
    await Promise.all([registration.renew([describe(own)], now), places(own).keep(now)]);
  }

  function plan(own: Live): void {
    const { validUntil, maxLifetimeMs, idleMs } = own.stored.opening;
    const lifetime = own.stored.openedAt + maxLifetimeMs;
    store.wake(Math.min(Date.now() + RENEW_MS, validUntil ?? Infinity, lifetime, lastAt(own) + idleMs));
  }

  function lastAt({ socket, counts, stored }: Live): number {
    const ponged = socket && ctx.getWebSocketAutoResponseTimestamp(socket);
    return Math.max(stored.openedAt, counts.lastInAt ?? 0, counts.lastOutAt ?? 0, ponged?.getTime() ?? 0);
  }

  function places({ stored }: Live): ReturnType<typeof placesOf> {
    return placesOf(stored.opening, env, { operationMs: OPERATION_MS, isHeld: true });
  }

  function describe({ stored, counts, queuedBytes }: Live): SessionDescription {
    const { opening, openedAt, origin, protocol, end: over } = stored;
    const { sequence: _sequence, ...passed } = counts;
    return {
      id,
      route: opening.route,
      principal: opening.principal,
      address: opening.client.address,
      origin,
      protocol,
      extensions: null,
      mode: "callback",
      state: over === undefined ? "open" : "closing",
      openedAt,
      ...passed,
      queuedBytes,
      resumes: 0,
      upstream: null,
    };
  }

  function warn(event: string, more: object): void {
    console.warn(JSON.stringify({ level: "warn", event, session: id, ...more }));
  }

  return {
    open,
    session() {
      const own = current();
      if (own?.socket === undefined) return undefined;
      return {
        describe: () => describe(own),
        close: (close) => end(own, { by: "gateway", code: close.code ?? null }, close),
        send: (said) => (own.stored.end !== undefined ? "gone" : say(own, said) ? "done" : "full"),
      };
    },
    message,
    closed,
    alarm,
  };
}
