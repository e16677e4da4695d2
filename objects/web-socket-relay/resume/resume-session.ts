import type { PassedMessage } from "./ring.ts";
import type { ResumeRules } from "./resume-rules.ts";
import type { Flush } from "./stored-session.ts";

/**
 * The relay's half of a session that survives its client's connection: counts, keeps and replays, and never touches a
 * socket, a clock or storage. Times are readings of one clock, in ms.
 */
export interface ResumeSession {
  readonly state: "live" | "held" | "over";
  /** Which connection counts; those of before do not any more. */
  readonly connection: number;
  /** When it was opened first, and not restored; as a clock that was set back since says, at the latest. */
  readonly openedAt: number;
  /** Counts a message of the client; false: it came on a connection that does not count. */
  fromClient(connection: number, now: number): boolean;
  /** Counts and keeps a message for the client. `overflow`: it has ended the session, whose client will be told 4413. */
  toClient(message: PassedMessage, now: number): "send" | "held" | "overflow" | "over";
  /** A connection was lost; of no consequence where another has taken over. */
  detach(connection: number, now: number): void;
  /** A client comes back; it wins over who is connected. A refusal changes nothing. */
  attach(claim: Claim, now: number): Attached | Refused;
  /** The client says how many messages it has received in all. False: that was known, or cannot be, and is ignored. */
  acked(count: number): boolean;
  /** The session is over: its client or the gateway has closed it. */
  end(): void;
  /**
   * So many of the client's messages were counted but not passed on yet, since the upstream is away. With level 2 they do not
   * count as having come, and whoever attaches sends them again: forget them then. Without, they need not be told.
   */
  setWaiting(count: number, now: number): void;
  status(): ResumeStatus;
  /** Whether the session is over, also because its client was waited for in vain. */
  isExpired(now: number): boolean;
  /** The count to acknowledge, if an ack is due. With level 2 what is acknowledged was written. */
  takeAck(now: number): number | undefined;
  /** What to write, if a batch is due: 250 ms after what changed first, or with 64 KiB. */
  takeFlush(now: number): Flush | undefined;
  /** What to write, due or not; undefined: nothing has changed, or the session is not stored. */
  flush(now: number): Flush | undefined;
  /** When to look again though nothing happens; null: never. */
  nextAt(): number | null;
  /**
   * Whether half of the ring is not acknowledged by a client with level 1: let what comes wait for the next `acked` (and the
   * byte budget decide how much of it), else it falls out of the ring and the session cannot be resumed.
   */
  readonly isWindowFull: boolean;
}

/** What a client that comes back says. */
export interface Claim {
  /** Whom the session is bound to: a hash of route and principal. */
  readonly owner: string;
  /** How many messages it has received; undefined: it does not say, as if the session were new. */
  readonly recv: number | undefined;
}

/** A client is connected again. */
export interface Attached {
  readonly kind: "attached";
  readonly connection: number;
  /** Whether another connection was there. */
  readonly supersedes: boolean;
  /** How many messages of the client have come; it sends those after them again. */
  readonly recv: number;
  /** What the client has not received, in order. */
  readonly replay: readonly PassedMessage[];
}

/** A client cannot be let in. With `status` the handshake is refused, with `code` accepted and closed at once. */
export type Refused =
  | { readonly kind: "refused"; readonly status: 403 }
  | { readonly kind: "refused"; readonly code: number; readonly reason: string };

/** What a plain GET of the session's URL answers. */
export interface ResumeStatus {
  readonly epoch: string;
  /** Messages of the client that have come. */
  readonly recv: number;
  /** Messages for the client, sent or held. */
  readonly sent: number;
  /** The first of them that is still kept; one more than `sent` when none is. */
  readonly oldest: number;
  /** Whether a client is connected. */
  readonly live: boolean;
  /** How often the session was restored from storage. What the upstream said in the last moments before that may be lost. */
  readonly restarts: number;
}

/** What a session is made with. */
export interface ResumeOptions {
  /** Names this session's memory; random. */
  readonly epoch: string;
  /** See `Claim`. */
  readonly owner: string;
  readonly rules: ResumeRules;
}
