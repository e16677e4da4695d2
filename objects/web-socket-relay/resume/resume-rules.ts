import type { RingLimits } from "./ring.ts";

/** What a session that can be resumed is held to; from the route's `webSocket`. */
export interface ResumeRules {
  /** How long a session waits for its client to come back. */
  readonly holdMs: number;
  /** Of what was sent to the client, and of what waits for it while it is away. A stored one may hold 1 MiB at most. */
  readonly ring: RingLimits;
  /** Level 1: control frames on the wire. Their acks trim the ring and tell how much is under way. */
  readonly control: boolean;
  /** Level 2: what is needed to resume is written to storage in batches, so that it outlives the object. */
  readonly stored: boolean;
}

/** After so many messages of it a client with level 1 is told that they have come, */
export const ACK_MESSAGES = 64;
/** and after so long. */
export const ACK_MS = 250;
/** So long may what has happened stay unwritten, */
export const FLUSH_MS = 250;
/** or so much of it: a message written by itself costs six times what passing it on does. */
export const FLUSH_BYTES = 65_536;

/** Close codes of resumption. Codes and not statuses: no browser shows a page the status of a handshake. */
export const SUPERSEDED = 4409;
export const GONE = 4410;
export const HOLD_OVERFLOW = 4413;
/** The close code by which the gateway asks a client to come back at once: it drains, or it starts again. */
export const COME_BACK = 1012;
