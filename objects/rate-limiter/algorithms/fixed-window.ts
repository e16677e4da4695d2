import type { TimeWindow, WindowRule } from "./time-window.ts";
import { windowAt } from "./time-window.ts";
import { MAX_CLOCK_STEP_BACK_MS } from "./token-bucket.ts";

/** At most `tokensPerWindow` in each window of the rule: a quota. */
export interface QuotaLimit {
  /** A safe integer of at least 1. */
  readonly tokensPerWindow: number;
  readonly rule: WindowRule;
}

/** What a quota remembers of one client. */
export interface Quota {
  /** The window that `used` belongs to: its first instant. */
  readonly id: number;
  readonly used: number;
}

/** The outcome of one `take`. */
export interface QuotaDecision {
  readonly allowed: boolean;
  readonly quota: Quota;
  /** 0 when allowed; else the time to the end of the window; null when the cost exceeds the limit. */
  readonly retryAfterMs: number | null;
}

/** The quota of a client never seen: nothing used. */
export function unusedQuota(limit: QuotaLimit, now: number): Quota {
  return { id: windowAt(limit.rule, now).id, used: 0 };
}

/** The quota of a client whose record was lost at `lostAt`: all used up then. */
export function spentQuota(limit: QuotaLimit, lostAt: number): Quota {
  return { id: windowAt(limit.rule, lostAt).id, used: limit.tokensPerWindow };
}

/**
 * Carries a quota into the window of `now`. A clock that stepped back into an earlier window changes nothing while
 * it is at most 5 s from the later one; from further back the quota goes on with what it has left.
 */
export function advance(quota: Quota, limit: QuotaLimit, now: number): Quota {
  const { id } = windowAt(limit.rule, now);
  if (id > quota.id) return { id, used: 0 };
  return id < quota.id && quota.id - now > MAX_CLOCK_STEP_BACK_MS ? { id, used: quota.used } : quota;
}

/**
 * Takes `cost` tokens of the running window, or nothing.
 *
 * Never more than the limit in a window; around the end of one, twice the limit may pass at once, as with every
 * quota of a calendar.
 *
 * @param cost an integer >= 0; 0 looks without taking and always passes.
 */
export function take(quota: Quota, limit: QuotaLimit, cost: number, now: number): QuotaDecision {
  const advanced = advance(quota, limit, now);
  if (cost > limit.tokensPerWindow) return { allowed: false, quota: advanced, retryAfterMs: null };
  if (cost > 0 && advanced.used + cost > limit.tokensPerWindow) {
    return { allowed: false, quota: advanced, retryAfterMs: resetMs(advanced, limit, now) };
  }
  return { allowed: true, quota: { id: advanced.id, used: advanced.used + cost }, retryAfterMs: 0 };
}

/** Counts tokens without asking whether they are there. */
export function charge(quota: Quota, cost: number): Quota {
  return cost === 0 ? quota : { id: quota.id, used: quota.used + cost };
}

/** Gives back tokens that were taken of the window `id` and not spent; those of an earlier window are lost. */
export function giveBack(quota: Quota, id: number, cost: number): Quota {
  return quota.id === id ? { id, used: Math.max(0, quota.used - cost) } : quota;
}

/**
 * Carries a quota from one limit to another. Under the same rule, what was used stays used and the new limit holds at
 * once. Under another, the client keeps what it had left, cut to the new limit, until the new window ends; who wants
 * the new quota to begin whole resets the client, or gives the limit a new name.
 */
export function changeLimit(quota: Quota, from: QuotaLimit, to: QuotaLimit, now: number): Quota {
  const advanced = advance(quota, from, now);
  if (isSameRule(from.rule, to.rule)) return advanced;
  const { id } = windowAt(to.rule, Math.max(now, advanced.id));
  return { id, used: Math.max(0, to.tokensPerWindow - remaining(advanced, from)) };
}

/** Tokens left in the window of the quota; 0 also while a lowered limit is exceeded. */
export function remaining(quota: Quota, limit: QuotaLimit): number {
  return Math.max(0, limit.tokensPerWindow - quota.used);
}

/** Milliseconds until the quota begins anew. */
export function resetMs(quota: Quota, limit: QuotaLimit, now: number): number {
  return windowOf(quota, limit).endsAt - Math.max(now, quota.id);
}

/**
 * The latest time by the owner's clock until which a lease of this window's tokens may be spent: `guardMs` before the
 * end, so that none is spent in the next window. It may be in the past; then there is nothing to lease.
 */
export function leaseEnd(quota: Quota, limit: QuotaLimit, guardMs: number): number {
  return windowOf(quota, limit).endsAt - guardMs;
}

/** When a quota left alone is whole again, in ms since the epoch. */
export function wholeAt(quota: Quota, limit: QuotaLimit): number {
  return quota.used === 0 ? quota.id : windowOf(quota, limit).endsAt;
}

/** How long the window of the quota is, in ms; those of a calendar differ. */
export function windowLength(limit: QuotaLimit, quota: Quota): number {
  const { id, endsAt } = windowOf(quota, limit);
  return endsAt - id;
}

function windowOf(quota: Quota, limit: QuotaLimit): TimeWindow {
  return windowAt(limit.rule, quota.id);
}

/** Whether two rules cut time alike. */
export function isSameRule(one: WindowRule, other: WindowRule): boolean {
  if (one.kind === "fixed") return other.kind === "fixed" && one.windowMs === other.windowMs;
  return other.kind === "calendar" && one.unit === other.unit && one.timeZone === other.timeZone;
}
