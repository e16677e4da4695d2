import type { Bucket, BucketDecision, BucketLimit } from "./token-bucket.ts";
import { advance, largestDebt, take } from "./token-bucket.ts";

/** What a request has cost, against what was reserved for it. */
export interface Settlement {
  /** What `reserve` took. */
  readonly reserved: number;
  /** What it cost: a safe integer >= 0, below or above `reserved`. */
  readonly actual: number;
  /** How far below zero the bucket may go (D); the burst by default. */
  readonly debtMax?: number;
}

/** The bucket after a settlement. */
export interface Settled {
  readonly bucket: Bucket;
  /** Tokens of the actual cost that went beyond the largest debt and were not charged; count them. */
  readonly forgiven: number;
}

/**
 * Takes an estimated cost and holds it until `settle`. Refuses while the bucket holds less, so also while it is in
 * debt: then not even an estimate of 0 passes.
 *
 * Reserved tokens count as outstanding, so the bucket does not refill behind them. Taken plainly and given back, they
 * could be spent twice at one instant: reserve 10 of 10, wait until it is full again, spend 10, get 10 back, spend 10.
 */
export function reserve(bucket: Bucket, limit: BucketLimit, cost: number, now: number): BucketDecision {
  const decision = take(bucket, limit, cost, now);
  if (!decision.allowed) return decision;
  return { ...decision, bucket: { ...decision.bucket, outstanding: decision.bucket.outstanding + cost } };
}

/**
 * Charges what a request has cost instead of what was reserved: the difference is given back or becomes debt, down to
 * `-debtMax`. A reservation whose settlement never comes is settled at its end with what was reserved.
 *
 * In any interval of t ms, at most B + D + L * t / W tokens are charged. Proof: V = tokens + outstanding is never
 * above B (the ceiling) nor below -D; it grows only by refill, at most L / W a ms; reserving leaves it as it is, and
 * settling lowers it by exactly what is charged. So what is charged is V before - V after + refill, which is at most
 * B - (-D) + L * t / W. And as long as nothing is forgiven, what is charged is what it cost, to the token.
 */
export function settle(bucket: Bucket, limit: BucketLimit, settlement: Settlement, now: number): Settled {
  const { reserved, actual, debtMax = limit.burst } = settlement;
  const advanced = advance(bucket, limit, now);
  const outstanding = Math.max(0, advanced.outstanding - reserved);
  const owed = actual - reserved;
  // A debt made when `debtMax` was larger stays as it is.
  const charged = Math.min(owed, Math.max(0, advanced.tokens + largestDebt(limit, debtMax)));
  const tokens = advanced.tokens - charged;
  const forgiven = owed - charged;
  const ceiling = Math.max(0, limit.burst - outstanding);
  if (tokens >= ceiling) return { bucket: { ...advanced, tokens: ceiling, rem: 0, outstanding }, forgiven };
  return { bucket: { ...advanced, tokens, outstanding }, forgiven };
}
