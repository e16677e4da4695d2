/**
 * The constants and choices that a quota's promises rest on. Production passes `QUOTA_RULES`; a test passes others to show
 * that its check notices.
 */
export interface QuotaRules {
  /** The end of a slot at the owner, for the window and for the spacing. */
  readonly slotEnd: (from: number, toleranceMs: number) => number;
  /** From when an isolate counts the latest start of a slot. */
  readonly countedFrom: (sentAt: number, receivedAt: number) => number;
  /** By how much of a time the owner's clock may run fast: windows and spacings are counted so much longer. */
  readonly clockError: number;
  /** What of a time counted here may be wrong there: both clocks may run that far off. */
  readonly drift: number;
  /** A clock of the runtime stands still while code runs: by so much it may be late. */
  readonly guardMs: number;
  /** Whether a request may still start by a slot whose last moment is `latestAt`. */
  readonly mayStart: (now: number, latestAt: number) => boolean;
  /** How long slots that were granted may come back. */
  readonly returnMs: number;
  /** Slots ahead lie at most so far ahead. */
  readonly aheadMs: number;
  /** Slots are lent ahead where a request is allowed at least this often. */
  readonly aheadFromMs: number;
  /** Puts a client that has had its turn, and asks for more, into one of the rounds: this one, the next, the one after. */
  readonly afterTurn: (client: string, rounds: readonly [string[], string[], string[]]) => void;
}

/** What ships. Below 20 a second nothing is lent: a slot that nobody uses is a request lost. */
export const QUOTA_RULES: QuotaRules = {
  slotEnd: (from, toleranceMs) => from + toleranceMs,
  countedFrom: (sentAt) => sentAt,
  clockError: 0.001,
  drift: 0.002,
  guardMs: 20,
  mayStart: (now, latestAt) => now <= latestAt,
  returnMs: 5_000,
  aheadMs: 500,
  aheadFromMs: 50,
  afterTurn: (client, [, next]) => void next.push(client),
};
