import { sizeOf } from "../bridge.ts";
import { LOST, relayClose, type Close } from "../close-codes.ts";
import { closeSocket } from "../close-socket.ts";
import { admit } from "../flow.ts";
import type { LiveSession } from "../live-session.ts";
import type { CallbackTerms } from "../mode-terms.ts";
import type { Opening } from "../opening.ts";
import { EXPIRED, IDLE, TOO_LARGE, TOO_MANY, TOO_MUCH, TOO_OLD } from "../own-closes.ts";
import { placesOf, type Places } from "../places.ts";
import { refused } from "../refused.ts";
import type { RelayHost } from "../relay-host.ts";
import { countsOf, logSession, refusalEnd, warn, type SessionEnd } from "../session-log.ts";
import { readReply, type EventReply } from "./event-reply.ts";
import { tapOnto } from "../session-tap.ts";
import { tallyMessage, tallyRelayed } from "../tally.ts";
import { createAskBackend } from "./ask-backend.ts";
import { connectBackend, disown, NOT_TAKEN } from "./connect-backend.ts";
import { describeCallback, wake, type LiveCallback } from "./live-callback.ts";
import { callbackStore, noCounts, type Counts } from "./stored-callback.ts";
import { encodeEvents, EVENTS_TYPE } from "./websocket-events.ts";

/** One session without an upstream connection, whose object may sleep. */
export interface CallbackRelay {
  /** Asks the backend, and takes the client in if that lets it. */
  open(request: Request, opening: Opening, terms: CallbackTerms): Promise<Response>;
  /** The session, if there is one. */
  session(): LiveSession | undefined;
  message(from: WebSocket, message: string | ArrayBuffer): Promise<void>;
  /** The client has closed its connection, or lost it. */
  closed(of: WebSocket, code: number, reason: string): Promise<void>;
  alarm(): Promise<void>;
}

/** A place lasts ten minutes without it, and so does the entry in the listing. */
const RENEW_MS = 240_000;
const MAX_QUEUED = 256;
/** The backend is told of an end this often, over five minutes. */
const MAX_TRIES = 6;
const RETRY_MS = 5_000;

/** Finds what an object remembers of its session, when it is first asked. */
export function createCallbackRelay({ ctx, env, registration }: RelayHost): CallbackRelay {
  const id = ctx.id.toString();
  const post = createAskBackend(ctx.exports, id);
  const store = callbackStore(ctx.storage);
  let live: LiveCallback | undefined;

  /** @param closing one that is not among the object's any more. */
  function current(closing?: WebSocket): LiveCallback | undefined {
    if (live !== undefined) return live;
    const stored = store.read();
    if (stored === undefined) return undefined;
    const [socket = closing] = ctx.getWebSockets();
    const counts: Counts = socket?.deserializeAttachment() ?? noCounts();
    live = wake(stored, socket, counts);
    return live;
  }

  async function open(request: Request, opening: Opening, { ping, pong }: CallbackTerms): Promise<Response> {
    const connected = await connectBackend(request, opening, post);
    const counts = { ...noCounts(), sequence: 1 };
    if (connected.kind === "unanswered") ctx.waitUntil(disown(connected.stored, post));
    if (connected.kind === "refused" || connected.kind === "unanswered") return connected.answer;
    if (connected.kind === "failed") {
      const { stored, refusal, error } = connected;
      warn(id, "web-socket-connect-not-read", { error });
      const by = { by: "gateway", code: NOT_TAKEN.code, reason: NOT_TAKEN.reason, sequence: 2 } as const;
      live = wake({ ...stored, end: by }, undefined, counts);
      store.write(live.stored);
      store.wake(Date.now() + RETRY_MS);
      ctx.waitUntil(work(live));
      return refused(refusal);
    }
    const { stored, reply } = connected;
    const { protocol } = stored;
    const { 0: outer, 1: socket } = new WebSocketPair();
    ctx.acceptWebSocket(socket);
    if (ping !== null) ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(ping, pong));
    live = wake(stored, socket, counts);
    store.write(stored);
    plan(live);
    ctx.waitUntil(registration.opened(describeCallback(live)));
    act(live, reply);
    // The backend was told that it is there.
    if (request.signal.aborted) end(live, { by: "client", code: LOST }, { code: LOST });
    const fields = new Headers({
      "x-ws-session": id,
      ...(protocol !== null && { "sec-websocket-protocol": protocol }),
    });
    for (const cookie of connected.headers.getSetCookie()) fields.append("set-cookie", cookie);
    return new Response(null, { status: 101, webSocket: outer, headers: fields });
  }

  async function message(from: WebSocket, said: string | ArrayBuffer): Promise<void> {
    const own = current(from);
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
    tallyMessage(own.tally.in, said, bytes);
    own.tap?.note("in", said, now);
    own.queue.push({ message: said, bytes, at: now });
    own.queuedBytes += bytes;
    await work(own);
  }

  function refuse(own: LiveCallback, close: Close): void {
    end(own, refusalEnd(close.code), close);
  }

  /** One event after the other, in order; who comes while one is under way leaves what he has to it. */
  async function work(own: LiveCallback): Promise<void> {
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

  async function deliver(own: LiveCallback): Promise<void> {
    const { terms, counts, stored } = own;
    const batch = own.queue.splice(0, terms.batch);
    for (const { bytes } of batch) own.queuedBytes -= bytes;
    counts.sequence += 1;
    own.socket?.serializeAttachment(counts);
    const messages = batch.map(({ message: one }) => one);
    const [first = ""] = messages;
    const isText = typeof first === "string";
    const type = terms.batch > 1 ? EVENTS_TYPE : isText ? "text/plain;charset=utf-8" : "application/octet-stream";
    const body = terms.batch > 1 ? encodeEvents(messages) : first;
    try {
      const headers = new Headers({ "content-type": type });
      const reply = await post(stored, counts.sequence, { name: "message", headers, body }, async (answer) => {
        if (answer.ok) return readReply(answer, stored.opening.fromUpstream.maxMessage);
        await answer.body?.cancel();
        throw new Error(`the answer is ${answer.status}`);
      });
      for (const { at } of batch) tallyRelayed(own.tally, Date.now() - at);
      act(own, reply);
    } catch (error) {
      own.undelivered += batch.length;
      const { onFailure } = terms;
      warn(id, "web-socket-message-not-taken", { messages: batch.length, error: String(error), onFailure });
      if (onFailure === "drop") return;
      own.undelivered += own.queue.length;
      own.queue.length = 0;
      end(own, { by: "upstream", code: NOT_TAKEN.code }, NOT_TAKEN);
    }
  }

  /** Does what the backend has answered. */
  function act(own: LiveCallback, { messages, close, state }: EventReply): void {
    if (state !== null && state !== own.stored.state) {
      own.stored = { ...own.stored, state };
      store.write(own.stored);
    }
    if (own.stored.end !== undefined) return;
    if (!messages.every((one) => say(own, one))) return refuse(own, TOO_MUCH);
    if (close !== undefined) end(own, { by: "upstream", code: close.code ?? null }, close);
  }

  function say(own: LiveCallback, said: string | ArrayBuffer): boolean {
    const { counts, outward, socket } = own;
    const now = Date.now();
    const bytes = sizeOf(said);
    const verdict = admit(outward, bytes, now);
    if (verdict !== "send" && verdict !== "wait") return false;
    counts.messagesOut += 1;
    counts.bytesOut += bytes;
    counts.lastOutAt = now;
    tallyMessage(own.tally.out, said, bytes);
    own.tap?.note("out", said, now);
    try {
      socket?.send(said);
      socket?.serializeAttachment(counts);
    } catch {
      // It is gone, which its own event tells.
    }
    return true;
  }

  function end(own: LiveCallback, by: SessionEnd, close: Close): void {
    if (own.stored.end !== undefined) return;
    // After the messages that wait; nobody knows how many there were of one whose counts are lost.
    const left = Math.ceil(own.queue.length / own.terms.batch);
    const sequence = own.socket === undefined ? null : own.counts.sequence + left + 1;
    own.stored = { ...own.stored, end: { ...by, reason: close.reason ?? "", sequence } };
    store.write(own.stored);
    // Should the object die before the backend knows.
    store.wake(Date.now() + RETRY_MS);
    if (own.socket !== undefined && close.code !== LOST) closeSocket(own.socket, close);
    const described = describeCallback(own);
    const undelivered = own.undelivered === 0 ? {} : { undelivered: own.undelivered };
    logSession(own.stored.opening, described, by, { ...countsOf(described), ...undelivered });
    own.tap?.closed(by.code ?? LOST, close.reason ?? "", Date.now());
    own.farewell = Promise.all([registration.closed(id), places(own).leave()]);
    ctx.waitUntil(work(own));
  }

  /** Tells the backend, until it has heard it, and forgets the session. */
  async function tellEnd(own: LiveCallback): Promise<void> {
    const { stored, socket, over } = own;
    const { by, code, reason, sequence } = stored.end ?? { by: "unseen", code: null, reason: "", sequence: null };
    const said = { name: "disconnect", body: reason, close: String(code ?? LOST) } as const;
    const isHeard = await post(stored, sequence, said, async (answer) => {
      await answer.body?.cancel();
      return answer.status < 500 && answer.status !== 408 && answer.status !== 429;
    }).catch(() => false);
    if (!isHeard && stored.tries + 1 < MAX_TRIES) {
      own.stored = { ...stored, tries: stored.tries + 1 };
      store.write(own.stored);
      return store.wake(Date.now() + RETRY_MS * 2 ** stored.tries);
    }
    if (!isHeard) warn(id, "web-socket-end-not-told", { tries: MAX_TRIES });
    if (by !== "client" && socket !== undefined) {
      await Promise.race([over.promise, scheduler.wait(stored.opening.closeMs)]);
    }
    await Promise.all([own.farewell, store.erase()]);
    live = undefined;
    // The runtime leaves the connection of a client open that has never said anything, and of one that answers no close.
    if (by !== "client" && socket !== undefined) ctx.abort("the session has ended");
  }

  async function closed(of: WebSocket, code: number, reason: string): Promise<void> {
    const own = current(of);
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
    await Promise.all([registration.renew([describeCallback(own)], now), places(own).keep(now)]);
  }

  function plan(own: LiveCallback): void {
    const { validUntil, maxLifetimeMs, idleMs } = own.stored.opening;
    const lifetime = own.stored.openedAt + maxLifetimeMs;
    store.wake(Math.min(Date.now() + RENEW_MS, validUntil ?? Infinity, lifetime, lastAt(own) + idleMs));
  }

  function lastAt({ socket, counts, stored }: LiveCallback): number {
    const ponged = socket && ctx.getWebSocketAutoResponseTimestamp(socket);
    return Math.max(stored.openedAt, counts.lastInAt ?? 0, counts.lastOutAt ?? 0, ponged?.getTime() ?? 0);
  }

  function places({ stored }: LiveCallback): Places {
    return placesOf(stored.opening, env, { isHeld: true });
  }

  return {
    open,
    session() {
      const own = current();
      if (own?.socket === undefined) return undefined;
      return {
        describe: () => describeCallback(own),
        close: (close) => end(own, { by: "gateway", code: close.code ?? null }, close),
        tap: (options) => tapOnto(own, options),
        send: (said) => (own.stored.end !== undefined ? "gone" : say(own, said) ? "done" : "full"),
      };
    },
    message,
    closed,
    alarm,
  };
}
