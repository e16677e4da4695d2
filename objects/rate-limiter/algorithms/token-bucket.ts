/**
 * A limit as the arithmetic needs it. All three are safe integers of at least 1, and `burst * windowMs` is at most
 * 2^53 (see `isExact`): up to there every product and every rounded quotient here is exact.
 */
export interface BucketLimit {
  /** Tokens that come back in one window (L). */
  readonly tokensPerWindow: number;
  /** The window in milliseconds (W). The sustained rate r is L / W. */
  readonly windowMs: number;
  /** The most that a full bucket holds (B), so the largest cost that can ever pass. */
  readonly burst: number;
}

/** What one limit remembers of one client: `tokens + rem / windowMs` tokens at the time `last`. */
export interface Bucket {
  /** Below 0 in debt, down to `-largestDebt`. */
  readonly tokens: number;
  /** The started token, in units of 1 / windowMs: 0 <= rem < windowMs. */
  readonly rem: number;
  /** Milliseconds since the epoch, by the owner's clock. */
  readonly last: number;
  /** Tokens on live leases (O). They count against the ceiling `burst - outstanding`. */
  readonly outstanding: number;
}

/** The outcome of one `take`. */
export interface BucketDecision {
  readonly allowed: boolean;
  /** The bucket after the decision. A refusal leaves what `advance` leaves. */
  readonly bucket: Bucket;
  /**
   * 0 when allowed; else the shortest wait in ms after which the same cost passes if nothing else is taken; null
   * when it never will, because the cost exceeds the burst. While the cost exceeds `burst - outstanding` the wait
   * is a lower bound: a lease must end first.
   */
  readonly retryAfterMs: number | null;
}

/**
 * A clock that was this far ahead and came back is believed again (the last reading was the wrong one); a smaller
 * step back is waited out. Without the bound, one jump of an hour would lock a client out for an hour.
 */
export const MAX_CLOCK_STEP_BACK_MS = 5_000;

/** Whether a bucket of `burst` tokens over `windowMs` can be counted without rounding. */
export function isExact(burst: number, windowMs: number): boolean {
  return burst <= Math.floor(2 ** 53 / windowMs);
}

/** The bucket of a client never seen: full. */
export function fullBucket(limit: BucketLimit, now: number): Bucket {
  return { tokens: limit.burst, rem: 0, last: now, outstanding: 0 };
}

/** The bucket of a client whose record was lost at `lostAt`: nothing left then, so it cannot admit too much. */
export function emptyBucket(lostAt: number): Bucket {
  return { tokens: 0, rem: 0, last: lostAt, outstanding: 0 };
}

/**
 * Refills a bucket up to `now`, never beyond `burst - outstanding`.
 *
 * Integers only, so nothing drifts, however often it is called. A clock that stepped back grants nothing and loses
 * nothing; after a step back of more than 5 s the bucket goes on from `now` with the tokens it has.
 *
 * Token bucket with a carried remainder; the same decisions as GCRA (ITU-T I.371) without rounding its emission
 * interval. The rounded quotients are exact although they are doubles: for integers x <= 2^53 and d, x / d that is
 * not whole is at least 1 / d away from a whole number, more than the rounding error of x / d.
 */
export function advance(bucket: Bucket, limit: BucketLimit, now: number): Bucket {
  const { tokens, rem, last, outstanding } = bucket;
  if (now <= last) {
    return last - now > MAX_CLOCK_STEP_BACK_MS ? { tokens, rem, last: now, outstanding } : bucket;
  }
  const ceiling = ceilingOf(limit, outstanding);
  if (tokens >= ceiling) return { tokens, rem: 0, last: now, outstanding };
  const elapsedMs = now - last;
  // Also what keeps elapsedMs * tokensPerWindow below 2^53 after a year of silence.
  if (elapsedMs >= waitFor(ceiling, bucket, limit)) return { tokens: ceiling, rem: 0, last: now, outstanding };
  const earned = rem + elapsedMs * limit.tokensPerWindow;
  return {
    tokens: tokens + Math.floor(earned / limit.windowMs),
    rem: earned % limit.windowMs,
    last: now,
    outstanding,
  };
}

/**
 * Takes `cost` tokens if they are there, else nothing.
 *
 * What it promises: in any interval of t ms at most `burst + tokensPerWindow * t / windowMs` tokens pass. So "100 a
 * minute" with a burst of 100 lets 200 through in its first minute; a smaller burst is how to ask for less.
 *
 * @param cost an integer >= 0; 0 looks without taking and always passes.
 */
export function take(bucket: Bucket, limit: BucketLimit, cost: number, now: number): BucketDecision {
  const advanced = advance(bucket, limit, now);
  if (cost > limit.burst) return { allowed: false, bucket: advanced, retryAfterMs: null };
  if (advanced.tokens < cost) {
    return { allowed: false, bucket: advanced, retryAfterMs: waitFor(cost, advanced, limit) };
  }
  return { allowed: true, bucket: { ...advanced, tokens: advanced.tokens - cost }, retryAfterMs: 0 };
}

/** Gives back `cost` tokens that were taken and not spent; what would lie above the ceiling is lost. */
export function giveBack(bucket: Bucket, limit: BucketLimit, cost: number, now: number): Bucket {
  const advanced = advance(bucket, limit, now);
  const ceiling = ceilingOf(limit, advanced.outstanding);
  // `rem` of a bucket at its ceiling is 0; a fraction kept there would let it rise above.
  if (advanced.tokens + cost >= ceiling) return { ...advanced, tokens: ceiling, rem: 0 };
  return { ...advanced, tokens: advanced.tokens + cost };
}

/**
 * Carries a bucket from one limit to another. The client keeps the tokens that it has, cut to the new ceiling: a
 * change of limit never grants, else changing it back and forth would fill the bucket.
 */
export function changeLimit(bucket: Bucket, from: BucketLimit, to: BucketLimit, now: number): Bucket {
  const advanced = advance(bucket, from, now);
  const ceiling = ceilingOf(to, advanced.outstanding);
  if (advanced.tokens >= ceiling) return { ...advanced, tokens: ceiling, rem: 0 };
  // A debt that could not be counted under the new limit is forgiven beyond the largest that can.
  const tokens = Math.max(advanced.tokens, -largestDebt(to));
  return { ...advanced, tokens, rem: rescale(advanced.rem, from.windowMs, to.windowMs) };
}

/** The debt that can be counted exactly: (burst + debt) * windowMs is at most 2^53, as a full wait multiplies both. */
export function largestDebt({ burst, windowMs }: BucketLimit, debtMax = Infinity): number {
  return Math.min(debtMax, Math.floor(2 ** 53 / windowMs) - burst);
}

/** The units of 1 / windowMs that a bucket lacks to be at its ceiling. */
export function unitsMissing(bucket: Bucket, limit: BucketLimit): number {
  const missing = ceilingOf(limit, bucket.outstanding) - bucket.tokens;
  return missing <= 0 ? 0 : missing * limit.windowMs - bucket.rem;
}

/** Adds units of 1 / windowMs, at most `unitsMissing`. */
export function addUnits(bucket: Bucket, limit: BucketLimit, units: number): Bucket {
  const sum = bucket.rem + units;
  return { ...bucket, tokens: bucket.tokens + Math.floor(sum / limit.windowMs), rem: sum % limit.windowMs };
}

/** When a bucket left alone is full again, in ms since the epoch; `bucket.last` when it is full already. */
export function fullAt(bucket: Bucket, limit: BucketLimit): number {
  const ceiling = ceilingOf(limit, bucket.outstanding);
  return bucket.tokens >= ceiling ? bucket.last : bucket.last + waitFor(ceiling, bucket, limit);
}

/** The most that a bucket can hold while `outstanding` tokens are on lease. */
export function ceilingOf(limit: BucketLimit, outstanding: number): number {
  // Leases handed out under a larger burst may exceed a burst that was cut since.
  return Math.max(0, limit.burst - outstanding);
}

/** How long an advanced bucket needs to have `tokens`, in ms; 0 or less when it has them. */
export function waitFor(tokens: number, bucket: Pick<Bucket, "tokens" | "rem">, limit: BucketLimit): number {
  return Math.ceil(((tokens - bucket.tokens) * limit.windowMs - bucket.rem) / limit.tokensPerWindow);
}

function rescale(rem: number, fromMs: number, toMs: number): number {
  if (fromMs === toMs) return rem;
  // Two windows of a month multiply to more than 2^53; limits change seldom enough for BigInt.
  return Number((BigInt(rem) * BigInt(toMs)) / BigInt(fromMs));
}
