import type { RingLimits } from "../resume/ring.ts";

/** How a session is held, as `HeldSettings` of the configuration says, and what its client asks. It travels as JSON: null is none. */
export interface HeldTerms {
  /** A plain GET asks what is known of the session. */
  readonly isStatus: boolean;
  /** Whom the session is bound to, as a hash; null: its client has not named it, and cannot come back. */
  readonly owner: string | null;
  /** How many messages the client has received; null: the session is new. */
  readonly recv: number | null;
  /** Whether the client wants control frames. */
  readonly control: boolean;
  /** Whether it wants `hello` alone, as the first message on this connection. Default false. */
  readonly hello?: boolean;
  readonly holdMs: number;
  readonly ring: RingLimits;
  readonly resumeOn1001: boolean;
  readonly durable: boolean;
  readonly reconnect: ReconnectTerms | null;
}

/** When and how an upstream that is lost is dialled again. */
export interface ReconnectTerms {
  /** Close codes; 1006 is a connection that was lost without one. */
  readonly on: readonly number[];
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  readonly giveUpMs: number;
  /** What clients say meanwhile. */
  readonly queue: RingLimits;
  /** So many of the client's first messages are said again. */
  readonly replayFirst: number;
  /** So many of the origin's answers to them are not passed on. */
  readonly skipAnswers: number;
}
