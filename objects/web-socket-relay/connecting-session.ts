import type { Close } from "./close-codes.ts";
import { listedText } from "./listed-text.ts";
import type { LiveSession } from "./live-session.ts";
import type { Opening } from "./opening.ts";
import { NEVER_AWAY } from "./session-control.ts";

/** Shown to operators after so long: a dial takes milliseconds, and a report more than that. */
export const SHOWN_AFTER_MS = 1_000;

/** A session whose upstream has not answered the handshake yet. */
export interface ConnectingSession extends LiveSession {
  /** It is open: what it was told, and is told yet, is for the session that has come of it. Its handshake has a time of its own. */
  becomes(session: LiveSession): void;
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
  // Who comes back to what is stored may, also where nobody new is let in.
  const resumes = (opening.held?.recv ?? null) === null ? 0 : 1;
  const passed = { messagesIn: 0, messagesOut: 0, bytesIn: 0, bytesOut: 0, queuedBytes: 0, ...NEVER_AWAY, resumes };
  const known = {
    id,
    route,
    mode,
    principal,
    address: client.address,
    origin: listedText(origin),
    openedAt,
  };
  let ordered: Close | undefined;
  let opened: LiveSession | undefined;
  return {
    opening,
    describe: () => ({ ...known, state: "connecting", ...nothing, ...passed }),
    close(close) {
      if (opened !== undefined) return opened.close(close);
      ordered ??= close;
    },
    becomes(session) {
      opened = session;
      const said = ordered;
      // Behind the 101: a splice that is cut before would be a handshake that failed.
      if (said !== undefined) setTimeout(() => session.close(said), 0);
    },
    send: () => "gone",
    tap: () => ({ kind: "gone" }),
  };
}
