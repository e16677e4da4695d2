import * as approximateWindow from "./approximate-window.ts";
import type { ApproximateLimit, ApproximateWindow } from "./approximate-window.ts";
import * as fixedWindow from "./fixed-window.ts";
import type { Quota, QuotaLimit } from "./fixed-window.ts";
import type { Algorithm, LimitItem } from "../limit-item.ts";
import * as slidingWindow from "./sliding-window.ts";
import type { SlidingLimit, SlidingWindow } from "./sliding-window.ts";
import { windowAt, type WindowRule } from "./time-window.ts";
import * as tokenBucket from "./token-bucket.ts";
import type { Bucket, BucketLimit } from "./token-bucket.ts";

/** A limit, and what one client has used of it: the member that its algorithm keeps. */
export type Allowance =
  | { readonly algorithm: "token-bucket"; readonly limit: BucketLimit; readonly bucket: Bucket }
  | { readonly algorithm: "sliding-window"; readonly limit: SlidingLimit; readonly window: SlidingWindow }
  | {
      readonly algorithm: "approximate-sliding-window";
      readonly limit: ApproximateLimit;
      readonly window: ApproximateWindow;
    }
  | { readonly algorithm: "fixed-window"; readonly limit: QuotaLimit; readonly quota: Quota };

/** The outcome of one take under one limit. */
export interface AllowanceDecision {
  readonly allowed: boolean;
  readonly allowance: Allowance;
  /** 0 when allowed; else the shortest wait that helps; null: never, the cost exceeds the limit. */
  readonly retryAfterMs: number | null;
}

const DEFAULT_ALGORITHM: Algorithm = "token-bucket";

/** What a client never seen may use. */
export function freshAllowance(item: LimitItem, now: number): Allowance {
  const { tokensPerWindow, windowMs, burst, algorithm = DEFAULT_ALGORITHM } = item;
  switch (algorithm) {
    case "token-bucket": {
      const limit = { tokensPerWindow, windowMs, burst };
      return { algorithm, limit, bucket: tokenBucket.fullBucket(limit, now) };
    }
    case "sliding-window":
      return { algorithm, limit: { tokensPerWindow, windowMs }, window: slidingWindow.emptyWindow(now) };
    case "approximate-sliding-window": {
      const limit = { tokensPerWindow, windowMs };
      return { algorithm, limit, window: approximateWindow.emptyWindow(limit, now) };
    }
    case "fixed-window": {
      const limit = { tokensPerWindow, rule: ruleOf(item) };
      return { algorithm, limit, quota: fixedWindow.unusedQuota(limit, now) };
    }
  }
}

/** What a client may use whose record was lost at `lostAt`: nothing then, so that nothing is granted twice. */
export function lostAllowance(item: LimitItem, lostAt: number): Allowance {
  const fresh = freshAllowance(item, lostAt);
  switch (fresh.algorithm) {
    case "token-bucket":
      return { ...fresh, bucket: tokenBucket.emptyBucket(lostAt) };
    case "sliding-window":
      return { ...fresh, window: slidingWindow.fullWindow(fresh.limit, lostAt) };
    case "approximate-sliding-window":
      return { ...fresh, window: approximateWindow.fullWindow(fresh.limit, lostAt) };
    case "fixed-window":
      return { ...fresh, quota: fixedWindow.spentQuota(fresh.limit, lostAt) };
  }
}

/** Whether an item speaks of this very limit. */
export function isUnder(allowance: Allowance, item: LimitItem): boolean {
  const { algorithm, limit } = allowance;
  if (algorithm !== (item.algorithm ?? DEFAULT_ALGORITHM) || limit.tokensPerWindow !== item.tokensPerWindow) {
    return false;
  }
  if (algorithm === "fixed-window") return fixedWindow.isSameRule(limit.rule, ruleOf(item));
  if (limit.windowMs !== item.windowMs) return false;
  return algorithm !== "token-bucket" || limit.burst === item.burst;
}

/**
 * Carries an allowance to the limit of an item. A change never grants; with another algorithm the client starts as
 * after a lost record, at `usedUpUntil` at the earliest.
 *
 * @param usedUpUntil when the last lease of the old algorithm ends; at most 5 s ahead, which every algorithm waits out.
 */
export function changeAllowance(from: Allowance, item: LimitItem, now: number, usedUpUntil: number): Allowance {
  const to = lostAllowance(item, Math.max(now, Math.min(usedUpUntil, now + tokenBucket.MAX_CLOCK_STEP_BACK_MS)));
  if (from.algorithm === "token-bucket" && to.algorithm === "token-bucket") {
    return { ...to, bucket: tokenBucket.changeLimit(from.bucket, from.limit, to.limit, now) };
  }
  if (from.algorithm === "sliding-window" && to.algorithm === "sliding-window") {
    return { ...to, window: slidingWindow.changeLimit(from.window, from.limit, to.limit, now) };
  }
  if (from.algorithm === "approximate-sliding-window" && to.algorithm === "approximate-sliding-window") {
    return { ...to, window: approximateWindow.changeLimit(from.window, from.limit, to.limit, now) };
  }
  if (from.algorithm === "fixed-window" && to.algorithm === "fixed-window") {
    return { ...to, quota: fixedWindow.changeLimit(from.quota, from.limit, to.limit, now) };
  }
  return to;
}

/** Whether what was counted in one is found in the other: if not, leases and reservations of before can't come back. */
export function keepsCounts(from: Allowance, to: Allowance): boolean {
  if (from.algorithm === "fixed-window" && to.algorithm === "fixed-window") {
    return fixedWindow.isSameRule(from.limit.rule, to.limit.rule);
  }
  if (from.algorithm === "fixed-window" || to.algorithm === "fixed-window") return false;
  if (from.algorithm !== to.algorithm) return false;
  return from.algorithm === "token-bucket" || from.limit.windowMs === to.limit.windowMs;
}

/** Carries an allowance to `now`. A clock that stepped back grants nothing. */
export function advance(allowance: Allowance, now: number): Allowance {
  switch (allowance.algorithm) {
    case "token-bucket":
      return { ...allowance, bucket: tokenBucket.advance(allowance.bucket, allowance.limit, now) };
    case "sliding-window":
      return { ...allowance, window: slidingWindow.advance(allowance.window, allowance.limit, now) };
    case "approximate-sliding-window":
      return { ...allowance, window: approximateWindow.advance(allowance.window, allowance.limit, now) };
    case "fixed-window":
      return { ...allowance, quota: fixedWindow.advance(allowance.quota, allowance.limit, now) };
  }
}

/** Takes `cost` tokens if they are there, else nothing; 0 looks, and passes unless a bucket is in debt. */
export function take(allowance: Allowance, cost: number, now: number): AllowanceDecision {
  switch (allowance.algorithm) {
    case "token-bucket": {
      const { bucket, ...verdict } = tokenBucket.take(allowance.bucket, allowance.limit, cost, now);
      return { ...verdict, allowance: { ...allowance, bucket } };
    }
    case "sliding-window": {
      const { window, ...verdict } = slidingWindow.take(allowance.window, allowance.limit, cost, now);
      return { ...verdict, allowance: { ...allowance, window } };
    }
    case "approximate-sliding-window": {
      const { window, ...verdict } = approximateWindow.take(allowance.window, allowance.limit, cost, now);
      return { ...verdict, allowance: { ...allowance, window } };
    }
    case "fixed-window": {
      const { quota, ...verdict } = fixedWindow.take(allowance.quota, allowance.limit, cost, now);
      return { ...verdict, allowance: { ...allowance, quota } };
    }
  }
}

/**
 * Gives back tokens that were taken at `takenAt` and not spent. Windows credit the part or window of that time, and
 * nothing when it is not known or has passed; a bucket credits up to its ceiling.
 */
export function giveBack(allowance: Allowance, cost: number, takenAt: number | undefined, now: number): Allowance {
  const advanced = advance(allowance, now);
  switch (advanced.algorithm) {
    case "token-bucket":
      return { ...advanced, bucket: tokenBucket.giveBack(advanced.bucket, advanced.limit, cost, now) };
    case "sliding-window": {
      const { window, limit } = advanced;
      // Parts that lie ahead hold leases, which come back by their own name.
      if (takenAt === undefined || takenAt > window.last) return advanced;
      return { ...advanced, window: slidingWindow.giveBack(window, limit, cost, { until: takenAt, now }) };
    }
    case "approximate-sliding-window": {
      if (takenAt === undefined) return advanced;
      const index = approximateWindow.indexAt(advanced.limit, takenAt);
      return { ...advanced, window: approximateWindow.giveBack(advanced.window, index, cost) };
    }
    case "fixed-window": {
      if (takenAt === undefined) return advanced;
      const { id } = windowAt(advanced.limit.rule, takenAt);
      return { ...advanced, quota: fixedWindow.giveBack(advanced.quota, id, cost) };
    }
  }
}

/** Whole tokens that a take could have at the time of the allowance; 0 also in debt or over a lowered limit. */
export function remaining(allowance: Allowance): number {
  switch (allowance.algorithm) {
    case "token-bucket":
      return Math.max(0, allowance.bucket.tokens);
    case "sliding-window":
      return slidingWindow.remaining(allowance.window, allowance.limit);
    case "approximate-sliding-window":
      return approximateWindow.remaining(allowance.window, allowance.limit);
    case "fixed-window":
      return fixedWindow.remaining(allowance.quota, allowance.limit);
  }
}

/** The time that the allowance has got to, in ms since the epoch; of a quota: when its window began. */
export function clockOf(allowance: Allowance): number {
  switch (allowance.algorithm) {
    case "token-bucket":
      return allowance.bucket.last;
    case "sliding-window":
    case "approximate-sliding-window":
      return allowance.window.last;
    case "fixed-window":
      return allowance.quota.id;
  }
}

/** When an allowance left alone is as good as new, in ms since the epoch. Leases of a bucket are not looked at. */
export function wholeAt(allowance: Allowance): number {
  switch (allowance.algorithm) {
    case "token-bucket":
      return tokenBucket.fullAt(allowance.bucket, allowance.limit);
    case "sliding-window":
      return slidingWindow.emptyAt(allowance.window, allowance.limit);
    case "approximate-sliding-window":
      return approximateWindow.emptyAt(allowance.window, allowance.limit);
    case "fixed-window":
      return fixedWindow.wholeAt(allowance.quota, allowance.limit);
  }
}

/** How long until something is released, at the time of the allowance; null: nothing is used. Not for buckets. */
export function releaseMs(allowance: Exclude<Allowance, { algorithm: "token-bucket" }>, now: number): number | null {
  switch (allowance.algorithm) {
    case "sliding-window":
      return slidingWindow.releaseMs(allowance.window, allowance.limit);
    case "approximate-sliding-window": {
      const cost = Math.min(allowance.limit.tokensPerWindow, remaining(allowance) + 1);
      const { retryAfterMs } = approximateWindow.take(allowance.window, allowance.limit, cost, now);
      return retryAfterMs === 0 ? null : retryAfterMs;
    }
    case "fixed-window":
      return allowance.quota.used === 0 ? null : fixedWindow.resetMs(allowance.quota, allowance.limit, now);
  }
}

function ruleOf({ windowMs, calendar }: LimitItem): WindowRule {
  if (calendar === undefined) return { kind: "fixed", windowMs };
  return { kind: "calendar", unit: calendar.unit, timeZone: calendar.timeZone };
}
