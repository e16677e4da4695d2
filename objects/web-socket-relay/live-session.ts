import { bridge, type Bridge } from "./bridge.ts";
import { LOST, type Close } from "./close-codes.ts";
import { forgetSplice, keepSplice } from "./cuttable-splices.ts";
import type { Dialled } from "./dial.ts";
import type { Opening } from "./opening.ts";
import { EXPIRED, IDLE, TOO_OLD } from "./own-closes.ts";
import { COME_BACK } from "./resume/resume-rules.ts";
import { RENEW_MS } from "./registration.ts";
import { socketLine, type Line } from "./line.ts";
import { listedText } from "./listed-text.ts";
import { countsOf, logSession, type SessionEnd } from "./session-log.ts";
import type { ControlReply, SessionDescription, SessionState, TapOptions, TapReply } from "./session-control.ts";
import { createSessionTap, type SessionTap } from "./session-tap.ts";
import { tallyMessage, tallyRelayed } from "./tally.ts";
import { tallyOf } from "./told-counts.ts";

/** What a session is made of. */
export interface SessionParts {
  readonly opening: Opening;
  readonly dialled: Dialled & { readonly kind: "open" };
  /** The handshake's `Origin`. */
  readonly origin: string | null;
  /** With mode `held`: what stands for both sockets. */
  readonly lines?: HeldLines;
}

/** The two sides of a session that may each be away. */
export interface HeldLines {
  readonly client: Line;
  readonly upstream: Line & { cut(): void };
  /** When the session began in an object that has crashed since; null: it begins now. */
  readonly openedAt: number | null;
  /** Where its client came from last. */
  readonly address: string;
  state(): SessionState;
  readonly resumes: number;
  readonly replayed: number;
  readonly reconnects: number;
  readonly target: string | null;
  /** Asks the client to come back, or waits for one that is away; false: it cannot come back. */
  sendAway(reason: string): boolean;
  announce(inMs: number): void;
}

/** The object that a session lives in. */
export interface SessionHost {
  /** Drops the client's connection, for which there is no other way; once it is told that the session has ended. */
  abort(): void;
  /** Every ten seconds. */
  renew(now: number): void;
  /** Called once, when both sides are closed or nobody can tell any more. */
  ended(): void;
}

/** A session that has begun. */
export interface LiveSession {
  describe(): SessionDescription;
  /** Ends it, with what both sides are told; a splice is cut. Again changes nothing. */
  close(close: Close): void;
  send(message: string | ArrayBuffer): ControlReply;
  /** Shows what passes, until nobody looks any more. */
  tap?(options: TapOptions): TapReply;
  /** Tells its client, where it understands that, to come back within so many ms. */
  announce?(inMs: number): void;
}

/** What whoever made a session can do with it. */
export interface OpenedSession {
  readonly session: LiveSession;
  /** For the client's answer; undefined where lines stand for it. */
  readonly socket: WebSocket | undefined;
  readonly joined: Bridge | undefined;
  /** The client's credentials end then. */
  setValidUntil(time: number | null): void;
}

/** Begins a session. */
export function openSession(parts: SessionParts, host: SessionHost): OpenedSession {
  const { opening, origin, lines } = parts;
  const { cut, target } = parts.dialled;
  const { session: id, mode, maxLifetimeMs, idleMs } = opening;
  let { validUntil } = opening;
  const beganAt = Date.now();
  const openedAt = lines?.openedAt ?? beganAt;
  const splice = mode === "splice" ? keepSplice() : undefined;
  const tally = tallyOf(opening.route);
  let joined: Bridge | undefined;
  let isOver = false;
  let renewAt = beganAt + RENEW_MS;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let wakeAt = 0;
  let tapping: SessionTap | undefined;

  function join({ socket, headers }: SessionParts["dialled"]): WebSocket | undefined {
    if (splice !== undefined) return socket;
    const { client, upstream, outer } = lines === undefined ? sockets(socket) : { ...lines, outer: undefined };
    const { fromClient, fromUpstream, closeMs } = opening;
    joined = bridge({
      client,
      upstream,
      fromClient,
      fromUpstream,
      closeMs,
      drop: (side) => (side === "client" ? host.abort() : upstream.cut()),
      seen(from, { data, bytes }, now) {
        const way = from === "client" ? "in" : "out";
        tallyMessage(tally[way], data, bytes);
        tapping?.note(way, data, now);
      },
      relayed: (ms) => tallyRelayed(tally, ms),
      ended: finish,
    });
    // Each leg has its own compression.
    headers.delete("sec-websocket-extensions");
    return outer;
  }

  function sockets(socket: WebSocket) {
    const { 0: outer, 1: inner } = new WebSocketPair();
    return { client: socketLine(inner), upstream: { ...socketLine(socket), cut }, outer };
  }

  function tick(): void {
    const now = Date.now();
    if (splice?.isLetGo === true) return finish({ by: "unseen", code: null });
    if (validUntil !== null && now >= validUntil) return close(EXPIRED);
    if (now >= openedAt + maxLifetimeMs) return close(TOO_OLD);
    if (joined !== undefined && now >= joined.lastAt() + idleMs) return close(IDLE);
    if (now >= renewAt) {
      renewAt = now + RENEW_MS;
      tapping?.beat(now);
      host.renew(now);
    }
    plan(now);
  }

  function plan(now: number): void {
    // A clock that was set back would be waited for.
    renewAt = Math.min(renewAt, now + RENEW_MS);
    const idleAt = joined === undefined ? Infinity : joined.lastAt() + idleMs;
    wakeAt = Math.min(renewAt, idleAt, validUntil ?? Infinity, openedAt + maxLifetimeMs);
    timer = setTimeout(tick, Math.max(1, wakeAt - now));
  }

  function close(said: Close): void {
    if (joined !== undefined) return joined.close(said);
    cut();
    finish({ by: "gateway", code: said.code ?? null });
  }

  function finish(end: SessionEnd): void {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    if (splice !== undefined) forgetSplice(splice);
    // Of a splice nobody has counted any.
    const session = describe();
    logSession(opening, session, end, joined === undefined ? {} : countsOf(session));
    tapping?.closed(end.code ?? LOST, "", Date.now());
    host.ended();
  }

  function describe(): SessionDescription {
    const { fromClient, fromUpstream } = joined ?? {};
    return {
      id,
      route: opening.route,
      principal: opening.principal,
      address: lines?.address ?? opening.client.address,
      origin: listedText(origin),
      protocol,
      extensions,
      mode,
      state: joined?.isClosing() === true ? "closing" : (lines?.state() ?? "open"),
      openedAt,
      lastInAt: joined?.lastFrom("client") ?? null,
      lastOutAt: joined?.lastFrom("upstream") ?? null,
      messagesIn: fromClient?.messages ?? 0,
      messagesOut: fromUpstream?.messages ?? 0,
      bytesIn: fromClient?.bytes ?? 0,
      bytesOut: fromUpstream?.bytes ?? 0,
      queuedBytes: (fromClient?.buffered ?? 0) + (fromUpstream?.buffered ?? 0),
      resumes: lines?.resumes ?? 0,
      replayed: lines?.replayed ?? 0,
      reconnects: lines?.reconnects ?? 0,
      upstream: listedText(lines === undefined ? target : lines.target),
      closeCode: joined?.closeCode() ?? null,
    };
  }

  function tap(options: TapOptions): TapReply {
    if (splice !== undefined) return { kind: "unsupported" };
    if (isOver) return { kind: "gone" };
    if (tapping !== undefined) return { kind: "busy" };
    tapping = createSessionTap(options, Date.now(), () => (tapping = undefined));
    return { kind: "tapped", events: tapping.events };
  }

  const socket = join(parts.dialled);
  // Not the fields that they are of: those are 3 KiB.
  const protocol = listedText(parts.dialled.headers.get("sec-websocket-protocol"));
  const extensions = listedText(parts.dialled.headers.get("sec-websocket-extensions"));
  plan(beganAt);
  return {
    session: {
      describe,
      close(said) {
        // Who is asked to come back finds its session.
        if (said.code !== COME_BACK || lines?.sendAway(said.reason ?? "") !== true) close(said);
      },
      send: (message) => joined?.sendToClient(message) ?? "unsupported",
      tap,
      announce: (inMs) => lines?.announce(inMs),
    },
    socket,
    joined,
    setValidUntil(time) {
      validUntil = time;
      // Else its timer comes early enough; of each that is cleared the runtime keeps 256 bytes.
      if (time === null || time >= wakeAt) return;
      clearTimeout(timer);
      plan(Date.now());
    },
  };
}
