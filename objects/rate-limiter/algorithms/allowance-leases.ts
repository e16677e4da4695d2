import * as allowances from "./allowance.ts";
import type { Allowance, AllowanceDecision } from "./allowance.ts";
import * as approximateWindow from "./approximate-window.ts";
import * as fixedWindow from "./fixed-window.ts";
import { LEASE_RULES, type LeaseRules } from "../leases/lease-rules.ts";
import * as reservation from "./reservation.ts";
import * as slidingWindow from "./sliding-window.ts";
import { advance, ceilingOf, type Bucket, type BucketLimit } from "./token-bucket.ts";
import type { Spent } from "../leases/turned-away.ts";

/** Tokens that somebody may still spend or give back. */
export interface Lent {
  readonly tokens: number;
  /**
   * Where a window or quota counts them, for `reclaim` and `settle`. Absent: in a bucket; or no longer known, because
   * the clock stepped back or the window changed, and then they can't come back.
   */
  readonly countedAt?: number;
}

/** What an isolate says of a lease. */
export interface LeaseNews {
  /** Not spent. */
  readonly held: number;
  /** What of `held` the isolate goes on spending. */
  readonly kept: number;
  /** `held` was let go. */
  readonly isReturned: boolean;
  /** Spent since the last report, the latest first. */
  readonly spent: readonly Spent[];
}

/** A settlement: what a request cost for which `reserved` tokens were held. */
export interface Charge {
  readonly actual: number;
  /** As much again as the limit by default. */
  readonly debtMax: number | undefined;
}

/** Takes in what an isolate says of a lease of this allowance, which is advanced to now. */
export function reclaim(allowance: Allowance, lent: Lent, news: LeaseNews, rules: LeaseRules): Allowance {
  switch (allowance.algorithm) {
    case "token-bucket": {
      const { bucket, limit } = allowance;
      const outstanding = bucket.outstanding - rules.outstandingOf(lent.tokens) + rules.outstandingOf(news.kept);
      // Below a burst that was cut, other leases may fill the bucket alone: then nothing of this one fits.
      const most = ceilingOf(limit, outstanding);
      const tokens = Math.min(most, bucket.tokens + (news.isReturned ? news.held : 0));
      return { ...allowance, bucket: atCeiling({ ...bucket, outstanding, tokens }, limit) };
    }
    case "sliding-window": {
      const { window, limit } = allowance;
      if (lent.countedAt === undefined) return allowance;
      const times = { until: lent.countedAt, now: window.last };
      const back = news.isReturned ? slidingWindow.giveBack(window, limit, news.held, times) : window;
      return { ...allowance, window: slidingWindow.redate(back, limit, news.spent, lent.countedAt) };
    }
    case "approximate-sliding-window":
      return allowance;
    case "fixed-window": {
      if (lent.countedAt === undefined || !news.isReturned) return allowance;
      return { ...allowance, quota: fixedWindow.giveBack(allowance.quota, lent.countedAt, news.held) };
    }
  }
}

/** Whether tokens of a lease may go on into the next one. */
export function isKeepable(allowance: Allowance, { countedAt }: Lent): boolean {
  switch (allowance.algorithm) {
    case "token-bucket":
      return true;
    case "sliding-window":
      return countedAt !== undefined;
    case "approximate-sliding-window":
      return false;
    case "fixed-window":
      return countedAt === allowance.quota.id;
  }
}

/**
 * Lends `granted` tokens that are there, and `kept` ones of `lent` on, until `until` by the owner's clock.
 *
 * A sliding window counts all of them from now until `until` + W, whenever they are spent; so a kept one moves there.
 */
export function lend(
  allowance: Allowance,
  { lent, kept, granted, until }: { lent: Lent | undefined; kept: number; granted: number; until: number },
  rules: LeaseRules = LEASE_RULES,
): { readonly allowance: Allowance; readonly countedAt?: number } {
  switch (allowance.algorithm) {
    case "token-bucket": {
      const { bucket, limit } = allowance;
      const outstanding = bucket.outstanding + rules.outstandingOf(granted);
      const left = atCeiling({ ...bucket, outstanding, tokens: bucket.tokens - granted }, limit);
      return { allowance: { ...allowance, bucket: left } };
    }
    case "sliding-window": {
      const { limit } = allowance;
      const { last } = allowance.window;
      const window =
        lent?.countedAt === undefined
          ? allowance.window
          : slidingWindow.giveBack(allowance.window, limit, kept, { until: lent.countedAt, now: last });
      const decision = slidingWindow.take(window, limit, kept + granted, last, until);
      return { allowance: { ...allowance, window: decision.window }, countedAt: Math.max(last, until) };
    }
    case "approximate-sliding-window":
      return { allowance };
    case "fixed-window": {
      const quota = fixedWindow.charge(allowance.quota, granted);
      return { allowance: { ...allowance, quota }, countedAt: quota.id };
    }
  }
}

/** Ends a lease or a reservation whose time is over: nothing is credited, since it may have been spent. */
export function endLent(allowance: Allowance, tokens: number, at: number, rules: LeaseRules): Allowance {
  if (allowance.algorithm !== "token-bucket") return allowance;
  const { limit } = allowance;
  const bucket = at > allowance.bucket.last ? advance(allowance.bucket, limit, at) : allowance.bucket;
  return { ...allowance, bucket: { ...bucket, outstanding: bucket.outstanding - rules.outstandingOf(tokens) } };
}

/**
 * Takes an estimated cost that `settle` corrects. A bucket holds it, so that nothing refills behind it; a window or a
 * quota counts it. In debt not even an estimate of 0 passes.
 */
export function reserve(allowance: Allowance, cost: number, now: number): AllowanceDecision {
  if (allowance.algorithm === "token-bucket") {
    const { bucket, ...verdict } = reservation.reserve(allowance.bucket, allowance.limit, cost, now);
    return { ...verdict, allowance: { ...allowance, bucket } };
  }
  const decision = allowances.take(allowance, cost, now);
  if (cost > 0 || usedOf(decision.allowance) <= allowance.limit.tokensPerWindow) return decision;
  return allowances.take(allowance, 1, now);
}

/**
 * Charges what a request has cost instead of what was reserved for it. What is too much goes back to where it was
 * counted; what is missing is debt in a bucket, and counts from now on in a window, which then may hold up to
 * `debtMax` more than its limit: so no window is charged more than L + D.
 */
export function settle(
  allowance: Allowance,
  lent: Lent,
  { actual, debtMax }: Charge,
  now: number,
): { readonly allowance: Allowance; readonly forgiven: number } {
  if (allowance.algorithm === "token-bucket") {
    const { bucket, limit } = allowance;
    const settlement = { reserved: lent.tokens, actual, debtMax: debtMax ?? limit.burst };
    const settled = reservation.settle(bucket, limit, settlement, now);
    return { allowance: { ...allowance, bucket: settled.bucket }, forgiven: settled.forgiven };
  }
  const owed = actual - lent.tokens;
  if (owed <= 0) return { allowance: unreserve(allowance, -owed, lent, now), forgiven: 0 };
  const advanced = allowances.advance(allowance, now);
  const room = mostCharged(allowance, debtMax) - usedOf(advanced);
  const charged = Math.min(owed, Math.max(0, room));
  return { allowance: charge(advanced, charged), forgiven: owed - charged };
}

function unreserve(allowance: Allowance, cost: number, { countedAt }: Lent, now: number): Allowance {
  return allowances.giveBack(allowance, cost, countedAt, now);
}

function charge(allowance: Allowance, tokens: number): Allowance {
  switch (allowance.algorithm) {
    case "token-bucket":
      return allowance;
    case "sliding-window":
      return { ...allowance, window: slidingWindow.charge(allowance.window, allowance.limit, tokens) };
    case "approximate-sliding-window":
      return { ...allowance, window: approximateWindow.charge(allowance.window, tokens) };
    case "fixed-window":
      return { ...allowance, quota: fixedWindow.charge(allowance.quota, tokens) };
  }
}

/** Whether more is lent or used than the limit allows by now, because it was lowered. */
export function exceedsLimit(allowance: Allowance): boolean {
  if (allowance.algorithm === "token-bucket") return allowance.bucket.outstanding > allowance.limit.burst;
  return usedOf(allowance) > allowance.limit.tokensPerWindow;
}

/** What a window or quota counts. */
function usedOf(allowance: Allowance): number {
  switch (allowance.algorithm) {
    case "token-bucket":
      return 0;
    case "sliding-window":
      return slidingWindow.used(allowance.window);
    case "approximate-sliding-window":
      return approximateWindow.used(allowance.window, allowance.limit);
    case "fixed-window":
      return allowance.quota.used;
  }
}

/** L + D, as far as it can be counted: the estimate of an approximate window multiplies it by W. */
function mostCharged(
  { algorithm, limit }: Exclude<Allowance, { algorithm: "token-bucket" }>,
  debtMax?: number,
): number {
  const most = limit.tokensPerWindow + (debtMax ?? limit.tokensPerWindow);
  const counted = algorithm === "approximate-sliding-window" ? 2 ** 53 / limit.windowMs : Number.MAX_SAFE_INTEGER;
  return Math.min(most, Math.floor(counted));
}

/** A fraction kept at the ceiling would let the bucket rise above it. */
function atCeiling(bucket: Bucket, limit: BucketLimit): Bucket {
  return bucket.tokens >= limit.burst - bucket.outstanding && bucket.rem > 0 ? { ...bucket, rem: 0 } : bucket;
}
