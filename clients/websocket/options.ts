import type { CopyLimits } from "./copies.ts";
import type { SocketConstructor } from "./platform.ts";

/** How a `ResumableWebSocket` behaves; every part may be left out. */
export interface ResumableOptions {
  /** How long to try to connect, or to come back, before giving up, in ms. Default 300,000; the gateway waits 30 s as a rule. */
  readonly giveUpMs?: number;
  /** Before the second try, at most, in ms; doubled with each. Default 100. */
  readonly minDelayMs?: number;
  /** Between tries, at most, in ms. Default 5,000. */
  readonly maxDelayMs?: number;
  /** After a connection that has lasted so long the next try is a first one again, in ms. Default 5,000. */
  readonly stableMs?: number;
  /** How long one try may take, in ms. Default 10,000. */
  readonly handshakeTimeoutMs?: number;
  /** What to do once a session is lost: end with `close` (default), or open a new one, after the event `lost` has said so. */
  readonly onLost?: "close" | "reopen";
  /**
   * Whether the gateway says on the session's own connection at all times what has come, and not only when the client is back, so that it is
   * asked nothing by plain GETs. Default true on a page of another origin than the gateway's, which may not read their answers; else false.
   */
  readonly control?: boolean;
  /** Room for copies of what the gateway may not have. Default 1,000 messages and 1 MiB. */
  readonly copies?: CopyLimits;
  /** Header fields of the plain GET, such as `authorization`; asked for each time. Default none; cookies are sent. */
  readonly headers?: () => Readonly<Record<string, string>>;
  /** Default those of the platform. */
  readonly WebSocket?: SocketConstructor;
  readonly fetch?: typeof fetch;
  /** In [0, 1). Default `Math.random`. */
  readonly random?: () => number;
}

/** Options with nothing left out, as a link uses them. */
export interface Settings extends Required<Omit<ResumableOptions, "fetch">> {
  readonly fetch: typeof fetch;
  readonly binaryType: "blob" | "arraybuffer";
}

/** Fills in what is left out. @param isForeign whether the page is of another origin than the gateway. */
export function settingsOf(options: ResumableOptions, isForeign: boolean): Settings {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return {
    giveUpMs: 300_000,
    minDelayMs: 100,
    maxDelayMs: 5_000,
    stableMs: 5_000,
    handshakeTimeoutMs: 10_000,
    onLost: "close",
    control: isForeign,
    copies: { messages: 1_000, bytes: 1_048_576 },
    headers: () => ({}),
    random: Math.random,
    WebSocket,
    // As a method of nothing else, which browsers insist on.
    fetch: (...args) => fetch(...args),
    binaryType: "blob",
    ...Object.fromEntries(given),
  };
}
