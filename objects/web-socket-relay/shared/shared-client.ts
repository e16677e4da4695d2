import { newFlow, type Flow } from "../flow.ts";
import { listedText } from "../listed-text.ts";
import type { SharedTerms } from "../mode-terms.ts";
import type { Opening } from "../opening.ts";
import { NEVER_AWAY, type SessionDescription } from "../session-control.ts";
import type { SessionEnd } from "../session-log.ts";
import type { SessionTap } from "../session-tap.ts";
import type { Tally } from "../tally.ts";
import { tallyOf } from "../told-counts.ts";
import type { Channel } from "./channel.ts";
import { newWindow, type ClientWindow } from "./client-window.ts";

/** One of the clients of an upstream. */
export interface SharedClient {
  readonly opening: Opening;
  readonly shared: SharedTerms;
  readonly socket: WebSocket;
  readonly origin: string | null;
  readonly openedAt: number;
  readonly flow: Flow;
  readonly window: ClientWindow;
  readonly protocol: string | null;
  /** The target of when it came. */
  readonly target: string | null;
  lastInAt: number | null;
  lastOutAt: number | null;
  messagesOut: number;
  bytesOut: number;
  /** How it ends; undefined: it does not yet. */
  end: SessionEnd | undefined;
  /** When it is given up, having been told. */
  closeBy: number;
  tap: SessionTap | undefined;
  readonly tally: Tally;
}

/** What is known of a client when it comes. */
export interface ClientParts {
  readonly shared: SharedTerms;
  readonly socket: WebSocket;
  readonly origin: string | null;
  readonly protocol: string | null;
  readonly target: string | null;
}

/** A client that has just come. */
export function newClient(opening: Opening, parts: ClientParts, now: number): SharedClient {
  const { messagesPerSecond, messageBurst, maxMessage } = opening.fromClient;
  // Bytes are counted for all clients together.
  const limits = { messagesPerSecond, messageBurst, maxMessage, bytesPerSecond: null, byteBurst: 0, maxBuffered: 0 };
  const { shared, socket, origin, protocol, target } = parts;
  return {
    opening,
    shared,
    socket,
    origin: listedText(origin),
    openedAt: now,
    flow: newFlow(limits, now),
    window: newWindow(),
    protocol: listedText(protocol),
    target: listedText(target),
    lastInAt: null,
    lastOutAt: null,
    messagesOut: 0,
    bytesOut: 0,
    end: undefined,
    closeBy: Infinity,
    tap: undefined,
    tally: tallyOf(opening.route),
  };
}

/** What is known of it now. @param channel its upstream; undefined: it has none any more. */
export function describeClient(client: SharedClient, channel: Channel | undefined): SessionDescription {
  const { opening, flow, window, protocol, target } = client;
  return {
    id: opening.session,
    route: opening.route,
    principal: opening.principal,
    address: opening.client.address,
    origin: client.origin,
    protocol,
    extensions: null,
    mode: "shared",
    state: client.end !== undefined ? "closing" : channel?.isLost === true ? "reconnecting" : "open",
    openedAt: client.openedAt,
    lastInAt: client.lastInAt,
    lastOutAt: client.lastOutAt,
    messagesIn: flow.messages,
    messagesOut: client.messagesOut,
    bytesIn: flow.bytes,
    bytesOut: client.bytesOut,
    queuedBytes: window.buffered,
    ...NEVER_AWAY,
    closeCode: client.end?.code ?? null,
    upstream: listedText(channel?.target ?? target),
  };
}

/** When something is to be done about it. */
export function dueAt({ closeBy, end, opening, openedAt, lastInAt, lastOutAt }: SharedClient): number {
  if (end !== undefined) return closeBy;
  const { validUntil, maxLifetimeMs, idleMs } = opening;
  const lastAt = Math.max(openedAt, lastInAt ?? 0, lastOutAt ?? 0);
  return Math.min(validUntil ?? Infinity, openedAt + maxLifetimeMs, lastAt + idleMs);
}
