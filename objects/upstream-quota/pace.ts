import * as slidingWindow from "../rate-limiter/algorithms/sliding-window.ts";
import type { SlidingLimit, SlidingWindow } from "../rate-limiter/algorithms/sliding-window.ts";
import * as tokenBucket from "../rate-limiter/algorithms/token-bucket.ts";
import type { Bucket, BucketLimit } from "../rate-limiter/algorithms/token-bucket.ts";
import type { QuotaPolicy } from "./quota-policy.ts";
import { QUOTA_RULES, type QuotaRules } from "./quota-rules.ts";

/** What has been granted of a quota. Times are the owner's, which never go back. */
export interface Pace {
  readonly window: SlidingWindow;
  readonly bucket: Bucket;
  /** When the last slot began; no slot begins before it. */
  readonly lastFrom: number;
  /** The end of the slot that ends last. */
  readonly busyUntil: number;
}

/** An interval of the owner's time in which one request may start, or several. */
export interface Slot {
  readonly from: number;
  readonly until: number;
  readonly count: number;
}

/** Up to so many requests a window each is counted by itself, to a thousandth of the window; more are counted in as many parts. */
const COUNTED_SINGLY = 120;
const FINE_PARTS = 1_000;

/** A quota of which nothing was used. */
export function newPace(policy: QuotaPolicy, now: number): Pace {
  const window = slidingWindow.emptyWindow(now);
  const bucket = tokenBucket.fullBucket(bucketOf(policy), now);
  return { window, bucket, lastFrom: now, busyUntil: now - byFastClock(policy.spacingMs) };
}

/** A quota whose record was lost at `lostAt`: all of it may have been used just then. */
export function lostPace(policy: QuotaPolicy, lostAt: number): Pace {
  const window = slidingWindow.fullWindow(windowOf(policy), lostAt);
  return { window, bucket: tokenBucket.emptyBucket(lostAt), lastFrom: lostAt, busyUntil: lostAt };
}

/** When the next slot may begin, at the earliest now; the shortest wait if nothing else is granted. */
export function nextSlotAt(pace: Pace, policy: QuotaPolicy, now: number, rules: QuotaRules = QUOTA_RULES): number {
  const spacingMs = byFastClock(policy.spacingMs, rules);
  const spaced = spacingMs === 0 ? pace.lastFrom : pace.busyUntil + spacingMs;
  const at = Math.max(now, pace.lastFrom, spaced);
  // Neither can be null: a request costs 1, and both hold at least that.
  const burstMs = tokenBucket.take(pace.bucket, bucketOf(policy), 1, at).retryAfterMs ?? 0;
  const windowMs = slidingWindow.take(pace.window, windowOf(policy, rules), 1, at).retryAfterMs ?? 0;
  return at + Math.max(burstMs, windowMs);
}

/** Grants the slot that begins at `from`, which `nextSlotAt` has found or is later; of more than one request what `leftOf` has at least. */
export function takeSlot(
  pace: Pace,
  policy: QuotaPolicy,
  { from, toleranceMs, count }: { readonly from: number; readonly toleranceMs: number; readonly count: number },
  rules: QuotaRules = QUOTA_RULES,
): { readonly pace: Pace; readonly slot: Slot } {
  const until = rules.slotEnd(from, toleranceMs);
  const { window } = slidingWindow.take(pace.window, windowOf(policy, rules), count, from, until);
  const { bucket } = tokenBucket.take(pace.bucket, bucketOf(policy), count, from);
  const busyUntil = Math.max(pace.busyUntil, until);
  return { pace: { window, bucket, lastFrom: from, busyUntil }, slot: { from, until, count } };
}

/** Takes back what of a slot was not started and never will be. Its place among the others stays empty. */
export function returnSlot(pace: Pace, policy: QuotaPolicy, { until, count }: Slot, now: number): Pace {
  const at = Math.max(now, pace.lastFrom);
  const window = slidingWindow.giveBack(pace.window, windowOf(policy), count, { until, now: at });
  return { ...pace, window, bucket: tokenBucket.giveBack(pace.bucket, bucketOf(policy), count, at) };
}

/** Carries what was granted to another policy: what was used stays used, and nothing is granted by the change. */
export function changePace(pace: Pace, from: QuotaPolicy, to: QuotaPolicy, now: number): Pace {
  const at = Math.max(now, pace.lastFrom);
  const window = slidingWindow.changeLimit(pace.window, windowOf(from), windowOf(to), at);
  return { ...pace, window, bucket: tokenBucket.changeLimit(pace.bucket, bucketOf(from), bucketOf(to), at) };
}

/** What is left now: of the window, and of the burst. */
export function leftOf(pace: Pace, policy: QuotaPolicy, now: number): { requests: number; burst: number } {
  const at = Math.max(now, pace.lastFrom);
  const window = slidingWindow.advance(pace.window, windowOf(policy), at);
  const requests = slidingWindow.remaining(window, windowOf(policy));
  return { requests, burst: Math.min(requests, tokenBucket.advance(pace.bucket, bucketOf(policy), at).tokens) };
}

/** When a quota left alone has forgotten everything. */
export function wholeAt(pace: Pace, policy: QuotaPolicy): number {
  const empty = slidingWindow.emptyAt(pace.window, windowOf(policy));
  return Math.max(
    empty,
    tokenBucket.fullAt(pace.bucket, bucketOf(policy)),
    pace.busyUntil + byFastClock(policy.spacingMs),
  );
}

function windowOf({ requests, windowMs }: QuotaPolicy, rules: QuotaRules = QUOTA_RULES): SlidingLimit {
  const subBuckets = requests <= COUNTED_SINGLY ? FINE_PARTS : COUNTED_SINGLY;
  return { tokensPerWindow: requests, windowMs: byFastClock(windowMs, rules), subBuckets };
}

function bucketOf({ requests, windowMs, burst }: QuotaPolicy): BucketLimit {
  return { tokensPerWindow: requests, windowMs, burst };
}

/** How long a clock that runs fast has to count for a time to have passed. */
function byFastClock(ms: number, { clockError }: QuotaRules = QUOTA_RULES): number {
  return Math.ceil(ms * (1 + clockError));
}
