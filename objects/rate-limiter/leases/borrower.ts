import { MAX_TTL_MS } from "./lease-rules.ts";
import type { LimitItem } from "../limit-item.ts";
import { newHistogram, type SpendHistogram } from "./spend-histogram.ts";
import { waitFor } from "../algorithms/token-bucket.ts";

/** One limit as an isolate borrows under it: what every message says of it. */
export interface BorrowedLimit extends LimitItem {
  readonly shadow: boolean;
}

/** Names an isolate and numbers its messages. One for all borrowers of the isolate, since an owner remembers numbers. */
export interface Sender {
  readonly isolate: string;
  seq: number;
}

/** What an isolate holds and knows of one policy of one client. */
export interface Holding {
  readonly limit: BorrowedLimit;
  /** Whether what is gone comes back little by little, as a bucket does it, and not at a moment. */
  readonly refills: boolean;
  /** The largest cost that can ever pass. */
  readonly capacity: number;
  tokens: number;
  readonly spent: SpendHistogram;
  /** Tokens a second that were asked for, with and without the last request; both as of the borrower's `ratedAt`. */
  rate: number;
  rateBefore: number;
  /** What a request costs on average, the latest counting most; at least 1. */
  usualCost: number;
  /** Tokens that were refused here since the last report. */
  denied: number;
  /** In shadow mode: the latest request that passed would have been refused. */
  shadowed: boolean;
  /** The owner's bucket, or what its window has left, at `levelAt`. */
  level: number;
  rem: number;
  /** More than `room` there cannot be before `roomMs` have passed. */
  room: number;
  roomMs: number;
  /** -Infinity: not known. */
  levelAt: number;
}

/**
 * One client's policies in one isolate, those that one owner decides together. Changed in place, because every request
 * passes here and a copy would cost more than the decision; everything that changes it is in `lease.ts`.
 */
export interface Borrower {
  readonly client: string;
  readonly configVersion: number;
  readonly sender: Sender;
  readonly holdings: readonly Holding[];
  /** The lease that the tokens belong to, and when they may be spent by this isolate's clock. */
  leaseId: number | null;
  startsAt: number;
  expiresAt: number;
  ttlMs: number;
  /** Tokens of the first policy when the lease began, and for how many requests it asks next at most: slow start. */
  size: number;
  want: number;
  ratedAt: number;
  rttMs: number;
  holdUntil: number;
  renewAt: number;
  closeIdleMs: number | null;
  usedAt: number;
  /** The message whose reply may change the lease; 0: none. */
  awaited: number;
  awaitedSince: number;
}

const FIRST_WANT = 32;
const FIRST_RTT_MS = 20;
/** How long a look at the owner's bucket is good for refusals. A raised limit or a reset is felt after this at the latest. */
const LEVEL_MAX_AGE_MS = 1_000;

/** A borrower that holds nothing and knows nothing. */
export function newBorrower(
  client: string,
  configVersion: number,
  limits: readonly BorrowedLimit[],
  sender: Sender,
): Borrower {
  return {
    client,
    configVersion,
    sender,
    holdings: limits.map(newHolding),
    leaseId: null,
    startsAt: 0,
    expiresAt: 0,
    ttlMs: MAX_TTL_MS,
    size: 0,
    want: FIRST_WANT,
    ratedAt: -Infinity,
    rttMs: FIRST_RTT_MS,
    holdUntil: -Infinity,
    renewAt: -Infinity,
    closeIdleMs: null,
    usedAt: -Infinity,
    awaited: 0,
    awaitedSince: -Infinity,
  };
}

/** Whether what is held may be spent. Before its start, after a step back of the clock, it may not. */
export function isSpendable(borrower: Borrower, now: number): boolean {
  return borrower.leaseId !== null && now >= borrower.startsAt && now < borrower.expiresAt;
}

/**
 * How long the owner is known not to give `tokens`, in ms; 0: ask it. Exact as far as nobody else takes or returns any,
 * for each cost its own: a snapshot is kept, not a verdict.
 */
export function knownWait(borrower: Borrower, holding: Holding, tokens: number, now: number): number {
  return Math.max(holdLeft(borrower, now), levelWait(holding, tokens, now));
}

/** How much longer the owner wants to be left alone about this client, whatever it has, in ms. */
export function holdLeft({ holdUntil }: Borrower, now: number): number {
  return Math.max(0, Math.min(MAX_TTL_MS, holdUntil - now));
}

/** How long the owner is known not to have `tokens` of one policy, in ms. */
export function levelWait(
  { limit, refills, level, rem, room, roomMs, levelAt }: Holding,
  tokens: number,
  now: number,
): number {
  const ageMs = now - levelAt;
  if (!(ageMs >= 0 && ageMs < LEVEL_MAX_AGE_MS)) return 0;
  if (!refills) return Math.max(0, tokens > level ? roomMs - ageMs : 0);
  const levelMs = waitFor(tokens, { tokens: level, rem }, limit);
  return Math.max(0, (tokens > room ? Math.max(levelMs, roomMs) : levelMs) - ageMs);
}

/** Whole tokens of a policy that this client may still spend, as far as this isolate knows. */
export function remainingOf(borrower: Borrower, index: number, now: number): number {
  const holding = borrower.holdings[index];
  if (holding === undefined) return 0;
  const held = isSpendable(borrower, now) ? holding.tokens : 0;
  return Math.min(holding.capacity, held + (holding.levelAt === -Infinity ? 0 : holding.level));
}

function newHolding(limit: BorrowedLimit): Holding {
  const refills = limit.algorithm === undefined || limit.algorithm === "token-bucket";
  const capacity = refills ? limit.burst : limit.tokensPerWindow;
  return {
    limit,
    refills,
    capacity,
    tokens: 0,
    spent: newHistogram(),
    rate: 0,
    rateBefore: 0,
    usualCost: 1,
    denied: 0,
    shadowed: false,
    level: 0,
    rem: 0,
    room: capacity,
    roomMs: 0,
    levelAt: -Infinity,
  };
}
