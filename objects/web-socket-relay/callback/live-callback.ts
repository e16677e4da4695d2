import { newFlow, type Flow } from "../flow.ts";
import type { CallbackTerms } from "../mode-terms.ts";
import { NEVER_AWAY, type SessionDescription } from "../session-control.ts";
import type { SessionTap } from "../session-tap.ts";
import type { Tally } from "../tally.ts";
import { tallyOf } from "../told-counts.ts";
import type { Counts, StoredCallback } from "./stored-callback.ts";

/** A session whose object is awake. */
export interface LiveCallback {
  stored: StoredCallback;
  readonly terms: CallbackTerms;
  /** Undefined: it was lost with the runtime. */
  readonly socket: WebSocket | undefined;
  readonly counts: Counts;
  readonly inward: Flow;
  readonly outward: Flow;
  readonly queue: { readonly message: string | ArrayBuffer; readonly bytes: number; readonly at: number }[];
  queuedBytes: number;
  undelivered: number;
  isBusy: boolean;
  tap: SessionTap | undefined;
  readonly tally: Tally;
  /** Resolves when the client's connection has ended. */
  readonly over: PromiseWithResolvers<void>;
  /** What others are told of its end. */
  farewell: Promise<unknown>;
}

/** Wakes a session. @param socket undefined: it was lost with the runtime. */
export function wake(stored: StoredCallback, socket: WebSocket | undefined, counts: Counts): LiveCallback {
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
    tap: undefined,
    tally: tallyOf(stored.opening.route),
    over: Promise.withResolvers<void>(),
    farewell: Promise.resolve(),
  };
}

/** What is known of it now. */
export function describeCallback({ stored, counts, queuedBytes }: LiveCallback): SessionDescription {
  const { opening, openedAt, origin, protocol, end: over } = stored;
  const { sequence: _sequence, ...passed } = counts;
  return {
    id: opening.session,
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
    ...NEVER_AWAY,
    closeCode: over?.code ?? null,
    upstream: null,
  };
}
