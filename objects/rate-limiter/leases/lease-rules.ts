/**
 * The constants and choices that the lease protocol rests on. Production passes `LEASE_RULES`; a test passes others to
 * show that its check notices.
 */
export interface LeaseRules {
  /** How much longer than its time to live the owner keeps a lease, for clocks that drift or stand still. */
  readonly guardMs: number;
  /** How far a spend is moved later before it is matched with refill, for the same reason. */
  readonly creditShiftMs: number;
  /** How long a message is remembered, so that a repetition gets the same reply. */
  readonly rememberMs: number;
  /** What of `tokens` on live leases counts against the ceiling of a bucket. */
  readonly outstandingOf: (tokens: number) => number;
  /** Whether a return of a lease that is, or is not, live is credited. */
  readonly creditsReturn: (isLive: boolean) => boolean;
  /** Whether a message of configuration version `sent` may change a limit that version `known` set. */
  readonly mayChangeLimit: (sent: number, known: number) => boolean;
  /** From when an isolate counts the time to live of a lease. */
  readonly leaseStart: (sentAt: number, receivedAt: number) => number;
  /** Which demand an isolate reports: without, or with, the request that asks. */
  readonly reportedRate: (before: number, after: number) => number;
  /** The longest pause that the owner asks of an isolate while demand exceeds the limit. */
  readonly maxHoldMs: (fillMs: number, ttlMs: number) => number;
}

/**
 * What ships. 100 ms of guard cover 0.1 % of drift over 5 s (5 ms for each side) and a clock that stands still for 50 ms
 * while a request computes; the same sum moves a spend. The runtime repeats a failed call within 10 s. The request that
 * asks is left out of the rate, else an isolate with one request a second would seem to have two: it wasted 8 to 30 % of
 * a small limit. A pause of half the time in which the bucket fills loses no refill.
 */
export const LEASE_RULES: LeaseRules = {
  guardMs: 100,
  creditShiftMs: 60,
  rememberMs: 10_000,
  outstandingOf: (tokens) => tokens,
  creditsReturn: (isLive) => isLive,
  mayChangeLimit: (sent, known) => sent >= known,
  leaseStart: (sentAt) => sentAt,
  reportedRate: (before) => before,
  maxHoldMs: (fillMs, ttlMs) => Math.min(0.5 * fillMs, 0.5 * ttlMs),
};

/** No lease lives longer, whatever the limit. A lowered limit holds after this and the guard. */
export const MAX_TTL_MS = 5_000;
/** No lease lives shorter: it would be over before it was here. */
export const MIN_TTL_MS = 300;
/** Leases of one client that are live at once, over all its policies; further isolates ask for each request. */
export const MAX_LEASES = 256;
/**
 * Costs of one client that wait for their settlement, over all its policies. More are refused until one is settled: let
 * through at their estimate they would be a way around the limit. Each adds about 35 characters to the row.
 */
export const MAX_RESERVATIONS = 1_024;
/** Bins of a spend histogram. */
export const BINS = 10;
