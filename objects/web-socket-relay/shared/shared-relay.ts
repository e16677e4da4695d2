import { sizeOf } from "../bridge.ts";
import { LOST, relayClose, type Close } from "../close-codes.ts";
import { closeSocket } from "../close-socket.ts";
import { dial, LEFT, type Dialled, type Dialler } from "../dial.ts";
import { admit, costOf } from "../flow.ts";
import { socketLine } from "../line.ts";
import type { LiveSession } from "../live-session.ts";
import type { SharedTerms } from "../mode-terms.ts";
import { TRIES, type Opening } from "../opening.ts";
import { EXPIRED, IDLE, TOO_LARGE, TOO_MANY, TOO_MUCH, TOO_OLD } from "../own-closes.ts";
import { RENEW_MS } from "../registration.ts";
import type { SessionDescription } from "../session-control.ts";
import { countsOf, logSession, refusalEnd, type SessionEnd } from "../session-log.ts";
import { tapOnto } from "../session-tap.ts";
import { tallyMessage } from "../tally.ts";
import { createWakeUp } from "../../wake-up.ts";
import { openChannel, type Channel } from "./channel.ts";
import { offer, renewWindow } from "./client-window.ts";
import { describeClient, dueAt, newClient, type SharedClient } from "./shared-client.ts";

/** The object that the clients of an upstream live in. */
export interface SharedHost {
  /** It has ended, and both sides know. */
  ended(id: string): void;
  /** Every ten seconds, while there are any. */
  renew(sessions: readonly SessionDescription[], now: number): void;
  /** Drops all connections: only clients are left that answer no close. */
  abort(): void;
}

/** What came of a client's handshake. */
export type Joined =
  | {
      readonly kind: "joined";
      readonly session: LiveSession;
      readonly socket: WebSocket;
      readonly headers: Headers;
    }
  | Exclude<Dialled, { readonly kind: "open" }>;

/** Many clients over one upstream connection. */
export interface SharedRelay {
  /** Takes a client in, dialling the upstream if it is the first. `request` is what the upstream is dialled with. */
  join(request: Request, opening: Opening, how: Sharing): Promise<Joined>;
}

/** How an upstream is shared, and what it is dialled with. */
interface Sharing {
  readonly shared: SharedTerms;
  readonly send: Dialler;
}

interface Parts {
  readonly shared: SharedTerms;
  readonly own: Channel;
  readonly dialled: Dialled & { readonly kind: "open" };
}

/** An upstream is told of the end before its connection is dropped with those of silent clients. */
const LAST_WORD_MS = 1_000;

/** Makes an empty one. */
export function createSharedRelay(host: SharedHost): SharedRelay {
  const clients = new Map<string, SharedClient>();
  /** Those that were told and never answered: their connections cannot be dropped one by one. */
  const silent = new Set<WebSocket>();
  let channel: Channel | undefined;
  /** Those that wait for the first dial. */
  let joining = 0;
  let lingerMs = 0;
  const wakeUp = createWakeUp(tick, RENEW_MS);
  const leaving = createWakeUp(leave, RENEW_MS);
  let tickAt = Infinity;
  let renewAt = 0;

  function channelFor(request: Request, opening: Opening, { shared, send: dialler }: Sharing): Channel {
    if (channel !== undefined && !channel.isOver) return channel;
    // Not with its client's signal: others wait for the same dial.
    const { url, headers } = request;
    const own: Channel = openChannel({
      opening,
      shared,
      dial: () => dial(new Request(url, { headers }), opening, dialler),
      deliver,
      ended: (by, code, close) => {
        const end = by === "gateway" ? refusalEnd(code) : { by, code };
        for (const client of clients.values()) tell(client, close, end);
        if (channel === own) channel = undefined;
      },
    });
    channel = own;
    return own;
  }

  async function join(request: Request, opening: Opening, how: Sharing): Promise<Joined> {
    const { shared } = how;
    if (clients.size + silent.size + joining >= shared.maxClients) return full(shared);
    ({ lingerMs } = shared);
    leaving.in(null);
    const isFirst = channel === undefined || channel.isOver;
    const own = channelFor(request, opening, how);
    joining += 1;
    try {
      const dialled = await own.opened;
      if (dialled.kind === "failed") return dialled;
      if (dialled.kind === "answer") return isFirst ? dialled : { kind: "answer", answer: headOf(dialled.answer) };
      if (request.signal.aborted) return LEFT;
      return admitted(request, opening, { shared, own, dialled });
    } finally {
      joining -= 1;
      lingerIfEmpty();
    }
  }

  function admitted(request: Request, opening: Opening, { shared, own, dialled }: Parts): Joined {
    const headers = new Headers(dialled.headers);
    dialled.headers.delete(TRIES);
    // It was the first client's to have, and each leg has its own compression.
    for (const name of ["set-cookie", "sec-websocket-extensions"]) headers.delete(name);
    const { 0: outer, 1: socket } = new WebSocketPair();
    const now = Date.now();
    const protocol = headers.get("sec-websocket-protocol");
    const { target } = dialled;
    const client = newClient(opening, { shared, socket, origin: request.headers.get("origin"), protocol, target }, now);
    socketLine(socket).open(
      (message) => heard(client, own, message),
      (code, reason) => gone(client, code, reason),
    );
    clients.set(opening.session, client);
    const session: LiveSession = {
      describe: () => describe(client),
      close: (close) => tell(client, close, { by: "gateway", code: close.code ?? null }),
      tap: (options) => tapOnto(client, options),
      send(message) {
        if (client.end !== undefined) return "gone";
        return send(client, message, sizeOf(message), Date.now()) ? "done" : "full";
      },
    };
    if (renewAt < now) renewAt = now + RENEW_MS;
    plan(now, dueAt(client));
    return { kind: "joined", session, socket: outer, headers };
  }

  function describe(client: SharedClient): SessionDescription {
    return describeClient(client, channel);
  }

  function heard(client: SharedClient, own: Channel, message: string | ArrayBuffer): void {
    if (client.end !== undefined) return;
    const now = Date.now();
    const bytes = sizeOf(message);
    client.lastInAt = now;
    const verdict = admit(client.flow, bytes, now);
    if (verdict === "too-large") return refuse(client, TOO_LARGE);
    if (verdict === "too-many") return refuse(client, TOO_MANY);
    tallyMessage(client.tally.in, message, bytes);
    client.tap?.note("in", message, now);
    for (const next of renewWindow(client.window, client.shared.window)) say(client, next, sizeOf(next), now);
    if (client.shared.clientMessages === "forward" && !own.send(message, bytes)) refuse(client, TOO_MUCH);
  }

  function deliver(message: string | ArrayBuffer, bytes: number, now: number): void {
    for (const client of clients.values()) {
      if (client.end === undefined) send(client, message, bytes, now);
    }
  }

  /** False: it is closed instead. */
  function send(client: SharedClient, message: string | ArrayBuffer, bytes: number, now: number): boolean {
    const { shared, opening } = client;
    if (shared.window !== null) {
      const { window, overflow } = shared;
      const { maxBuffered } = opening.fromUpstream;
      const verdict = offer(client.window, message, costOf(bytes), { window, overflow, maxBuffered });
      if (verdict === "overflow") refuse(client, TOO_MUCH);
      if (verdict !== "send") return verdict === "wait";
    }
    say(client, message, bytes, now);
    return true;
  }

  function say(client: SharedClient, message: string | ArrayBuffer, bytes: number, now: number): void {
    client.messagesOut += 1;
    client.bytesOut += bytes;
    client.lastOutAt = now;
    tallyMessage(client.tally.out, message, bytes);
    client.tap?.note("out", message, now);
    try {
      client.socket.send(message);
    } catch {
      gone(client, LOST, "");
    }
  }

  function refuse(client: SharedClient, close: Close): void {
    tell(client, close, refusalEnd(close.code));
  }

  function tell(client: SharedClient, close: Close, end: SessionEnd): void {
    if (client.end !== undefined) return;
    client.end = end;
    const now = Date.now();
    client.closeBy = now + client.opening.closeMs;
    closeSocket(client.socket, close);
    plan(now, client.closeBy);
  }

  /** Its connection is over, or it has closed it. */
  function gone(client: SharedClient, code: number, reason: string): void {
    silent.delete(client.socket);
    const { own, other } = relayClose("client", code, reason);
    if (client.end === undefined && code !== LOST) closeSocket(client.socket, own ?? other);
    client.end ??= { by: "client", code };
    forget(client);
  }

  function forget(client: SharedClient): void {
    const { opening, end, window } = client;
    if (!clients.delete(opening.session)) return;
    const described = describe(client);
    const dropped = window.dropped === 0 ? {} : { dropped: window.dropped };
    logSession(opening, described, end ?? { by: "unseen", code: null }, { ...countsOf(described), ...dropped });
    client.tap?.closed(end?.code ?? LOST, "", Date.now());
    window.queue.length = 0;
    host.ended(opening.session);
    lingerIfEmpty();
  }

  function lingerIfEmpty(): void {
    if (clients.size + joining > 0) return;
    wakeUp.in(null);
    tickAt = Infinity;
    leaving.in(lingerMs);
  }

  function leave(): void {
    if (channel === undefined && silent.size > 0) return host.abort();
    channel?.leave();
    channel = undefined;
    if (silent.size > 0) leaving.in(LAST_WORD_MS);
  }

  function plan(now: number, at: number): void {
    // A clock that was set back would be waited for.
    renewAt = Math.min(renewAt, now + RENEW_MS);
    const next = Math.min(at, renewAt);
    if (next >= tickAt) return;
    tickAt = next;
    wakeUp.in(Math.max(1, next - now));
  }

  function tick(): void {
    tickAt = Infinity;
    const now = Date.now();
    let next = Infinity;
    for (const client of clients.values()) {
      judge(client, now);
      next = Math.min(next, dueAt(client));
    }
    if (clients.size === 0) return;
    if (now >= renewAt) {
      renewAt = now + RENEW_MS;
      for (const { tap } of clients.values()) tap?.beat(now);
      host.renew([...clients.values()].map(describe), now);
    }
    plan(now, next);
  }

  function judge(client: SharedClient, now: number): void {
    if (now < dueAt(client)) return;
    const { end, opening, openedAt } = client;
    if (end !== undefined) {
      silent.add(client.socket);
      return forget(client);
    }
    if (now >= (opening.validUntil ?? Infinity)) return refuse(client, EXPIRED);
    refuse(client, now >= openedAt + opening.maxLifetimeMs ? TOO_OLD : IDLE);
  }

  return { join };
}

function full({ maxClients }: SharedTerms): Joined {
  const detail = `${maxClients} clients share this connection already, which is all that may.`;
  return { kind: "failed", refusal: { code: "too-many-connections", detail, retryAfter: "5" } };
}

/** For those who waited for what another was refused: its body is that one's. */
function headOf({ status, headers }: Response): Response {
  const kept = new Headers(headers);
  for (const name of ["set-cookie", "content-length", "content-encoding", "content-type"]) kept.delete(name);
  return new Response(null, { status, headers: kept });
}
