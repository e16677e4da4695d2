/** A side of a session. */
export type Side = "client" | "upstream";

/** What a Close frame says; without a code it is empty. */
export interface Close {
  readonly code?: number;
  readonly reason?: string;
}

/** How the end of one side is told. */
export interface RelayedClose {
  /** To the other side. */
  readonly other: Close;
  /** To the side that it came from; undefined: nothing is left to say to it until the other side has answered. */
  readonly own: Close | undefined;
}

/** RFC 6455 7.4.1: there was no Close frame, or one without a code. Neither may be sent. */
export const NO_CODE = 1005;
export const LOST = 1006;

/** A control frame has 125 bytes of payload, two of which are the code (RFC 6455 5.5). */
export const MAX_REASON_BYTES = 123;

const encoder = new TextEncoder();

/** What is said to the other side of one that is gone without a Close frame. */
const GONE: Readonly<Record<Side, Close>> = {
  client: { code: 1001, reason: "client lost" },
  upstream: { code: 1014, reason: "upstream lost" },
};

/**
 * Maps the end of one side to what is said to both. What may be sent is passed on as it is; what may not is the violation of whoever
 * sent it, who is told 1002 at once, the runtime having let it pass.
 */
export function relayClose(side: Side, code: number, reason: string): RelayedClose {
  if (code === NO_CODE) return { other: {}, own: undefined };
  if (code === LOST) return { other: GONE[side], own: undefined };
  if (isSendable(code) && encoder.encode(reason).byteLength <= MAX_REASON_BYTES) {
    return { other: { code, reason }, own: undefined };
  }
  return { other: side === "client" ? { code: 1002 } : { code: 1014 }, own: { code: 1002 } };
}

/** Whether a code may stand in a Close frame (RFC 6455 7.4, and the registry of IANA by 2026). */
export function isSendable(code: number): boolean {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/** A reason that fits its frame: cut between characters, as browsers and Bun do. */
export function fittingReason(reason: string): string {
  if (encoder.encode(reason).byteLength <= MAX_REASON_BYTES) return reason;
  let fitting = "";
  let bytes = 0;
  for (const character of reason) {
    bytes += encoder.encode(character).byteLength;
    if (bytes > MAX_REASON_BYTES) break;
    fitting += character;
  }
  return fitting;
}
