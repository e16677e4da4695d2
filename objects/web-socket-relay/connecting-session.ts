import type { Close } from "./close-codes.ts";
import type { LiveSession } from "./live-session.ts";
import type { Opening } from "./opening.ts";
import { NEVER_AWAY } from "./session-control.ts";

/** Shown to operators after so long: a dial takes milliseconds, and a report more than that. */
export const SHOWN_AFTER_MS = 1_000;

/** A session whose upstream has not answered the handshake yet. */
export interface ConnectingSession extends LiveSession {
  /** What it is to be closed with as soon as it is open; its handshake has a time of its own. */
  readonly ordered: Close | undefined;
  /** What its Worker has asked for. */
  readonly opening: Opening;
}

/** Makes one. @param origin the handshake's `Origin`. */
export function connectingSession(opening: Opening, origin: string | null, openedAt: number): ConnectingSession {
  const { session: id, route, mode, principal, client } = opening;
  const nothing = {
    protocol: null,
    extensions: null,
    lastInAt: null,
    lastOutAt: null,
    upstream: null,
    closeCode: null,
  };
  const passed = { messagesIn: 0, messagesOut: 0, bytesIn: 0, bytesOut: 0, queuedBytes: 0, ...NEVER_AWAY };
  const known = {
    id,
    route,
    mode,
    principal,
    address: client.address,
    origin: origin?.slice(0, 512) ?? null,
    openedAt,
  };
  let ordered: Close | undefined;
  return {
    opening,
    describe: () => ({ ...known, state: "connecting", ...nothing, ...passed }),
    close(close) {
      ordered ??= close;
    },
    send: () => "gone",
    tap: () => ({ kind: "gone" }),
    get ordered() {
      return ordered;
    },
  };
}
