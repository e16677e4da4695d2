import { clockOf, remaining, type Allowance } from "../algorithms/allowance.ts";
import { closeIdleAfter, holdFor, sizeLease, timeToLive, type Demand } from "./demand.ts";
import { leaseEnd, windowLength } from "../algorithms/fixed-window.ts";
import type { Account, Work } from "./lease-accounts.ts";
import type { LeaseMessage, LeaseReply } from "./lease-messages.ts";
import { MIN_TTL_MS, type LeaseRules } from "./lease-rules.ts";
import type { BucketLimit } from "../algorithms/token-bucket.ts";

/** What a reply says besides its items. */
export type Terms = Pick<LeaseReply, "holdMs" | "closeIdleMs">;

/** Under full demand a lease may last a tenth of a sliding window, which counts its tokens until its end + W. */
const SLIDING_SHARE = 0.1;
/** Under less, as long as what is asked for within W and the lease fills this much of the window. */
const SLIDING_FILL = 0.9;

/** One time to live for all policies, since they are spent together: the shortest. 0 or less: nothing can be lent. */
export function lifeOf(
  accounts: readonly Account[],
  demands: readonly Demand[],
  { message, now, rules }: Work,
): number {
  const clock = clockFor(accounts, now);
  let ttlMs = Infinity;
  for (const [index, { allowance }] of accounts.entries()) {
    const demand = demandAt(demands, index);
    ttlMs = Math.min(ttlMs, timeToLive(shapeOf(allowance), demand, message.shard !== undefined));
    ttlMs = Math.min(ttlMs, longestLife(allowance, demand, clock, rules));
  }
  return ttlMs === Infinity ? 0 : ttlMs;
}

/** The longest pause that any policy asks for, and the shortest idle time. */
export function termsFor(
  accounts: readonly Account[],
  demands: readonly Demand[],
  ttlMs: number,
  { message, rules }: Work,
): Terms {
  let holdMs = 0;
  let closeIdleMs: number | null = null;
  for (const [index, { item, allowance, granted }] of accounts.entries()) {
    const demand = demandAt(demands, index);
    const idleMs = closeIdleAfter(shapeOf(allowance), demand, ttlMs);
    if (idleMs !== null) closeIdleMs = Math.min(closeIdleMs ?? Infinity, idleMs);
    const paced = pacedAs(allowance);
    if (item.shadow || paced === undefined) continue;
    const tokens = remaining(allowance) - granted;
    holdMs = Math.max(holdMs, holdFor(paced, tokens, demand, { ttlMs, seq: message.seq }, rules));
  }
  return { holdMs, closeIdleMs };
}

/**
 * Grants what the isolate will use soon, cut for all policies alike to what the scarcest of them can give: more of one
 * could not be spent without the other. A shadow takes its part and limits nobody.
 */
export function grant(
  accounts: readonly Account[],
  demands: readonly Demand[],
  ttlMs: number,
  message: LeaseMessage,
): readonly Account[] {
  if (ttlMs < MIN_TTL_MS) return accounts;
  let share = 1;
  const sizings = accounts.map(({ item, allowance, kept, granted }, index) => {
    const { rate, cost, usualCost } = item;
    const asker = { rate, cost, usualCost, want: message.want, isShard: message.shard !== undefined };
    const supplied = {
      limit: shapeOf(allowance),
      demand: demandAt(demands, index),
      tokens: lendable(allowance) - granted,
    };
    const { ideal, supply } = sizeLease(supplied, asker, ttlMs);
    if (!item.shadow) share = Math.min(share, ideal === 0 ? 0 : (kept + supply) / ideal);
    return { ideal, supply };
  });
  const extra = accounts.map(({ kept }, index) => {
    const { ideal, supply } = sizings[index] ?? { ideal: 0, supply: 0 };
    return Math.max(0, Math.min(supply, Math.floor(ideal * share) - kept));
  });
  const isUseless = accounts.some(({ item, kept }, index) => !item.shadow && kept + (extra[index] ?? 0) === 0);
  if (isUseless) return accounts;
  return accounts.map((account, index) => ({ ...account, granted: account.granted + (extra[index] ?? 0) }));
}

/** The owner's time: allowances that stand still after a small step back of the clock lend by their own, later time. */
export function clockFor(accounts: readonly Account[], now: number): number {
  return Math.max(now, ...accounts.map(({ allowance }) => clockOf(allowance)));
}

function demandAt(demands: readonly Demand[], index: number): Demand {
  return demands[index] ?? { rate: 0, isolates: 0 };
}

function longestLife(allowance: Allowance, demand: Demand, clock: number, rules: LeaseRules): number {
  switch (allowance.algorithm) {
    case "token-bucket":
    case "approximate-sliding-window":
      return Infinity;
    case "sliding-window": {
      const { tokensPerWindow, windowMs } = allowance.limit;
      const fillMs = (SLIDING_FILL * tokensPerWindow * 1_000) / demand.rate - windowMs;
      return Math.max(MIN_TTL_MS, Math.floor(Math.max(SLIDING_SHARE * windowMs, fillMs)));
    }
    case "fixed-window":
      return leaseEnd(allowance.quota, allowance.limit, rules.guardMs) - clock;
  }
}

function lendable(allowance: Allowance): number {
  return allowance.algorithm === "approximate-sliding-window" ? 0 : remaining(allowance);
}

/** An allowance as a bucket that gives as much: what sizes are reckoned from. */
function shapeOf(allowance: Allowance): BucketLimit {
  switch (allowance.algorithm) {
    case "token-bucket":
      return allowance.limit;
    case "sliding-window":
    case "approximate-sliding-window": {
      const { tokensPerWindow, windowMs } = allowance.limit;
      return { tokensPerWindow, windowMs, burst: tokensPerWindow };
    }
    case "fixed-window": {
      const { limit, quota } = allowance;
      const { tokensPerWindow } = limit;
      return { tokensPerWindow, windowMs: windowLength(limit, quota), burst: tokensPerWindow };
    }
  }
}

/**
 * The bucket whose pauses suit an allowance; undefined: none. A sliding window loses what it holds back, so it pauses
 * for a tenth of itself at most. Of a quota nothing comes back before its end, which isolates know.
 */
function pacedAs(allowance: Allowance): BucketLimit | undefined {
  switch (allowance.algorithm) {
    case "token-bucket":
      return allowance.limit;
    case "sliding-window": {
      const { tokensPerWindow, windowMs } = allowance.limit;
      return { tokensPerWindow, windowMs, burst: tokensPerWindow / 5 };
    }
    case "approximate-sliding-window":
    case "fixed-window":
      return undefined;
  }
}
