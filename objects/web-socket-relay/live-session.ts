import { bridge, type Bridge, type BridgeEnd } from "./bridge.ts";
import type { Close } from "./close-codes.ts";
import type { Dialled } from "./dial.ts";
import { forgetSplice, holdSplice } from "./held-splices.ts";
import type { Opening } from "./opening.ts";
import { RENEW_MS } from "./registration.ts";
import type { ControlReply, SessionDescription } from "./session-control.ts";

/** What a session is made of. */
export interface SessionParts {
  readonly opening: Opening;
  readonly dialled: Dialled & { readonly kind: "open" };
  /** The handshake's `Origin`. */
  readonly origin: string | null;
}

/** The object that a session lives in. */
export interface SessionHost {
  /** Drops the client's connection, for which there is no other way. */
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
}

const IDLE: Close = { code: 4408, reason: "idle" };
const EXPIRED: Close = { code: 4401, reason: "credentials expired" };
/** To be opened anew. */
const TOO_OLD: Close = { code: 1012, reason: "open for too long" };

/** Who ended a session; `unseen`: nobody can tell of a splice that others have displaced. */
type EndedBy = BridgeEnd["by"] | "unseen";

/** Begins a session. @returns it, and the socket for the client's answer. */
export function openSession(parts: SessionParts, host: SessionHost): { session: LiveSession; socket: WebSocket } {
  const { opening, dialled, origin } = parts;
  const { session: id, mode, maxLifetimeMs, idleMs, validUntil } = opening;
  const openedAt = Date.now();
  const held = mode === "splice" ? holdSplice() : undefined;
  let joined: Bridge | undefined;
  let isOver = false;
  let renewAt = openedAt + RENEW_MS;
  let timer: ReturnType<typeof setTimeout> | null = null;

  function join(): WebSocket {
    if (held !== undefined) return dialled.socket;
    const { 0: outer, 1: inner } = new WebSocketPair();
    const { fromClient, fromUpstream, closeMs } = opening;
    joined = bridge({
      client: inner,
      upstream: dialled.socket,
      fromClient,
      fromUpstream,
      closeMs,
      drop: (side) => (side === "client" ? host.abort() : dialled.cut()),
      ended: ({ by, code }) => finish(by, code),
    });
    // Each leg has its own compression.
    dialled.headers.delete("sec-websocket-extensions");
    return outer;
  }

  function tick(): void {
    const now = Date.now();
    if (held?.isLetGo === true) return finish("unseen", null);
    if (validUntil !== null && now >= validUntil) return close(EXPIRED);
    if (now >= openedAt + maxLifetimeMs) return close(TOO_OLD);
    if (joined !== undefined && now >= joined.lastAt() + idleMs) return close(IDLE);
    if (now >= renewAt) {
      renewAt = now + RENEW_MS;
      host.renew(now);
    }
    plan(now);
  }

  function plan(now: number): void {
    const idleAt = joined === undefined ? Infinity : joined.lastAt() + idleMs;
    const next = Math.min(renewAt, idleAt, validUntil ?? Infinity, openedAt + maxLifetimeMs);
    timer = setTimeout(tick, Math.max(1, next - now));
  }

  function close(said: Close): void {
    if (joined !== undefined) return joined.close(said);
    dialled.cut();
    finish("gateway", said.code ?? null);
  }

  function finish(by: EndedBy, code: number | null): void {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    if (held !== undefined) forgetSplice(held);
    log(by, code);
    host.ended();
  }

  function log(by: EndedBy, code: number | null): void {
    const { route, requestId, client } = opening;
    const { messagesIn, messagesOut, bytesIn, bytesOut, protocol, upstream } = describe();
    const line = {
      level: "info",
      message: "web-socket",
      time: new Date(openedAt).toISOString(),
      requestId,
      session: id,
      route,
      mode,
      endedBy: by,
      closeCode: code,
      durationMs: Date.now() - openedAt,
      // Of a splice nobody has counted any.
      ...(joined === undefined ? {} : { messagesIn, messagesOut, bytesIn, bytesOut }),
      protocol: protocol ?? undefined,
      target: upstream ?? undefined,
      client: client.address,
    };
    console.log(JSON.stringify(line));
  }

  function describe(): SessionDescription {
    const { fromClient, fromUpstream } = joined ?? {};
    const { headers, target } = dialled;
    return {
      id,
      route: opening.route,
      principal: opening.principal,
      address: opening.client.address,
      origin: textOf(origin),
      protocol: textOf(headers.get("sec-websocket-protocol")),
      extensions: textOf(headers.get("sec-websocket-extensions")),
      mode,
      state: joined?.isClosing() === true ? "closing" : "open",
      openedAt,
      lastInAt: joined?.lastFrom("client") ?? null,
      lastOutAt: joined?.lastFrom("upstream") ?? null,
      messagesIn: fromClient?.messages ?? 0,
      messagesOut: fromUpstream?.messages ?? 0,
      bytesIn: fromClient?.bytes ?? 0,
      bytesOut: fromUpstream?.bytes ?? 0,
      queuedBytes: (fromClient?.buffered ?? 0) + (fromUpstream?.buffered ?? 0),
      resumes: 0,
      upstream: textOf(target),
    };
  }

  const socket = join();
  plan(openedAt);
  return { session: { describe, close, send: (message) => joined?.sendToClient(message) ?? "unsupported" }, socket };
}

/** What the registry takes. */
function textOf(text: string | null): string | null {
  return text === null ? null : text.slice(0, 512);
}
