import { holdLeft, isSpendable, knownWait, levelWait, type Borrower, type Holding } from "./borrower.ts";
import { ask, askAlone, countDemand, handBack, isAwaiting, renew } from "./lease-asking.ts";
import type { LeaseMessage, LeaseReply } from "./lease-messages.ts";
import { LEASE_RULES, type LeaseRules } from "./lease-rules.ts";
import { countSpent } from "./spend-histogram.ts";

/** It passes. */
export interface Admitted {
  readonly kind: "admitted";
  /** To be sent off the request's path. */
  readonly renewal: LeaseMessage | undefined;
  /** A shadow policy would have refused it; which one, its holding says. */
  readonly shadowed: boolean;
}

/** It is refused without a call. */
export interface Refused {
  readonly kind: "refused";
  /** Per policy, the wait in ms (0: not this one's fault; null: never). */
  readonly retryAfterMs: readonly (number | null)[];
}

/** What an isolate does with a request. */
export type Arrival =
  | Admitted
  | Refused
  /** The owner decides about it. */
  | { readonly kind: "ask"; readonly message: LeaseMessage }
  /** A call is under way: come back after so long with the time waited. Waiting for its promise could wedge the isolate. */
  | { readonly kind: "wait"; readonly pollMs: number };

/** How long to wait before looking again whether a call that is under way has brought what is needed. */
export const POLL_MS = 5;
/** How long a request waits for a call that another one made before it makes its own. */
const MAX_WAIT_MS = 100;
/** No renewal so soon after one that brought nothing. */
const RENEW_PAUSE_MS = 100;

const ADMITTED: Admitted = { kind: "admitted", renewal: undefined, shadowed: false };
const SHADOWED: Admitted = { kind: "admitted", renewal: undefined, shadowed: true };
const WAIT: Arrival = { kind: "wait", pollMs: POLL_MS };

/**
 * Decides about one request in one synchronous step: all policies give their tokens, or none does. Nothing is allocated
 * for a request that passes without a call.
 *
 * @param costs in the order of the borrower's holdings, integers >= 0.
 * @param waitedMs since the request first arrived; 0 for the first time, which alone counts as demand.
 */
export function arrive(
  borrower: Borrower,
  costs: readonly number[],
  now: number,
  waitedMs = 0,
  rules: LeaseRules = LEASE_RULES,
): Arrival {
  if (waitedMs === 0) countDemand(borrower, costs, now);
  switch (assess(borrower, costs, now)) {
    case "held":
      return spend(borrower, costs, now, rules);
    case "refused":
      return refuse(borrower, costs, now);
    case "lacking":
  }
  if (!isAwaiting(borrower, now)) return { kind: "ask", message: ask(borrower, costs, now, rules) };
  if (waitedMs < MAX_WAIT_MS) return WAIT;
  return { kind: "ask", message: askAlone(borrower, costs, now, rules) };
}

/** The refusal of a request that other owners decide about too, when it is known without a call; `waitedMs` as in `arrive`. */
export function turnAway(borrower: Borrower, costs: readonly number[], now: number, waitedMs = 0): Refused | undefined {
  if (waitedMs === 0) countDemand(borrower, costs, now);
  return assess(borrower, costs, now) === "refused" ? refuse(borrower, costs, now) : undefined;
}

/** Whether `spend` would find everything that a request costs. */
export function isHeld(borrower: Borrower, costs: readonly number[], now: number): boolean {
  return assess(borrower, costs, now) === "held";
}

/** Whether the owner had what a request costs when it last spoke; one that then lent nothing could not lend. */
export function isThere({ holdings }: Borrower, costs: readonly number[]): boolean {
  return holdings.every(({ limit, level }, index) => limit.shadow || level >= (costs[index] ?? 0));
}

/**
 * The message that gets what a request costs onto the lease, to be spent when its other owners agree; undefined while a
 * call is under way, which may bring it.
 */
export function askToHold(
  borrower: Borrower,
  costs: readonly number[],
  now: number,
  rules: LeaseRules = LEASE_RULES,
): LeaseMessage | undefined {
  return isAwaiting(borrower, now) ? undefined : ask(borrower, costs, now, rules, true);
}

/** Spends what is held of every policy; only after `isHeld`, in the same synchronous step. */
export function spend(
  borrower: Borrower,
  costs: readonly number[],
  now: number,
  rules: LeaseRules = LEASE_RULES,
): Admitted {
  const isOpen = isSpendable(borrower, now);
  let low = false;
  let shadowed = false;
  for (let index = 0; index < borrower.holdings.length; index++) {
    const holding = borrower.holdings[index];
    if (holding === undefined) continue;
    const cost = costs[index] ?? 0;
    holding.shadowed = cost > (isOpen ? holding.tokens : 0);
    shadowed ||= holding.shadowed;
    // Not taken from a shadow that would have refused, nor from one without a lease.
    if (!isOpen || holding.shadowed) continue;
    holding.tokens -= cost;
    if (cost > 0) countSpent(holding.spent, cost, now);
    if (!holding.limit.shadow) low ||= holding.tokens < lowMark(borrower, holding);
  }
  borrower.usedAt = now;
  const mayRenew = low && borrower.leaseId !== null && now >= borrower.renewAt && now >= borrower.holdUntil;
  if (!mayRenew || isAwaiting(borrower, now)) return shadowed ? SHADOWED : ADMITTED;
  return { kind: "admitted", renewal: renew(borrower, now, rules), shadowed };
}

/** Takes in the owner's reply to message `seq`. Only the reply that is awaited changes the lease. */
export function answer(
  borrower: Borrower,
  seq: number,
  reply: LeaseReply,
  now: number,
  rules: LeaseRules = LEASE_RULES,
): void {
  borrower.holdUntil = reply.holdMs > 0 ? now + reply.holdMs : -Infinity;
  for (const [index, holding] of borrower.holdings.entries()) {
    const item = reply.items[index];
    if (item?.policy !== holding.limit.policy) continue;
    holding.level = item.remaining;
    holding.rem = item.rem;
    holding.room = item.room;
    holding.roomMs = item.roomMs ?? 0;
    holding.levelAt = now;
  }
  if (borrower.awaited !== seq) return;
  borrower.awaited = 0;
  borrower.rttMs += 0.2 * (now - borrower.awaitedSince - borrower.rttMs);
  borrower.closeIdleMs = reply.closeIdleMs;
  borrower.ttlMs = reply.ttlMs;
  if (reply.items.every(({ granted }) => granted === 0)) borrower.renewAt = now + RENEW_PAUSE_MS;
  if (reply.leaseId !== null && reply.leaseId === borrower.leaseId) return;
  borrower.leaseId = reply.leaseId;
  borrower.startsAt = rules.leaseStart(borrower.awaitedSince, now);
  borrower.expiresAt = borrower.startsAt + reply.ttlMs;
  if (reply.leaseId !== null) borrower.usedAt = now;
  for (const [index, holding] of borrower.holdings.entries()) {
    const item = reply.items[index];
    const kept = item !== undefined && item.kept > 0 ? holding.tokens : 0;
    holding.tokens = reply.leaseId === null ? 0 : kept + (item?.granted ?? 0);
  }
  borrower.size = borrower.holdings[0]?.tokens ?? 0;
}

/** The call of message `seq` failed, or is given up. What it carried is lost, which costs tokens and admits nothing. */
export function failed(borrower: Borrower, seq: number, now: number): void {
  if (borrower.awaited !== seq) return;
  borrower.awaited = 0;
  borrower.renewAt = now + RENEW_PAUSE_MS;
}

/** When `close` is due if nothing more is spent, by this isolate's clock; undefined: not at all. */
export function closeAt({ leaseId, closeIdleMs, usedAt }: Borrower): number | undefined {
  return leaseId === null || closeIdleMs === null ? undefined : usedAt + closeIdleMs;
}

/**
 * Returns a lease that was idle for as long as the owner said: the message to send, or undefined while it is in use or
 * a call is under way.
 */
export function close(borrower: Borrower, now: number, rules: LeaseRules = LEASE_RULES): LeaseMessage | undefined {
  const dueAt = closeAt(borrower);
  if (dueAt === undefined || now < dueAt || isAwaiting(borrower, now)) return undefined;
  return handBack(borrower, now, rules);
}

/** Returns whatever lease there is, because its configuration or its place in the table is gone; undefined without one. */
export function giveUp(borrower: Borrower, now: number, rules: LeaseRules = LEASE_RULES): LeaseMessage | undefined {
  return borrower.leaseId === null ? undefined : handBack(borrower, now, rules);
}

/** Whether a request may pass with what is held, is known to be refused, or needs the owner. Changes nothing. */
function assess(borrower: Borrower, costs: readonly number[], now: number): "held" | "lacking" | "refused" {
  const isOpen = isSpendable(borrower, now);
  let lacks = false;
  let refuses = false;
  for (let index = 0; index < borrower.holdings.length; index++) {
    const holding = borrower.holdings[index];
    const cost = costs[index] ?? 0;
    const held = isOpen && holding !== undefined ? holding.tokens : 0;
    if (holding === undefined || cost <= held) continue;
    const isRefused = cost > holding.capacity || knownWait(borrower, holding, cost - held, now) > 0;
    if (holding.limit.shadow && isRefused) continue;
    lacks = true;
    refuses ||= isRefused;
  }
  if (!lacks) return "held";
  return refuses ? "refused" : "lacking";
}

/** At least one request; enough for twice a round trip and one more, but not before half of a small lease is spent. */
function lowMark({ size, rttMs }: Borrower, { rateBefore, usualCost }: Holding): number {
  return Math.max(usualCost, Math.min(size / 2, usualCost + (2 * rateBefore * rttMs) / 1_000));
}

/** A pause that the owner asked for is laid to the policies that lack tokens, where there are any; else it is the reason. */
function refuse(borrower: Borrower, costs: readonly number[], now: number): Refused {
  const isOpen = isSpendable(borrower, now);
  const holdMs = holdLeft(borrower, now);
  const lacks = borrower.holdings.map((holding, index) => {
    const cost = costs[index] ?? 0;
    const held = isOpen ? holding.tokens : 0;
    if (cost > holding.capacity) return null;
    holding.denied += cost;
    return cost <= held ? undefined : levelWait(holding, cost - held, now);
  });
  const isLevel = lacks.some((waitMs, index) => waitMs !== 0 && waitMs !== undefined && !isShadow(borrower, index));
  const retryAfterMs = lacks.map((waitMs) => {
    if (waitMs === null) return null;
    if (waitMs === undefined || (waitMs === 0 && isLevel)) return 0;
    return Math.ceil(Math.max(waitMs, holdMs));
  });
  return { kind: "refused", retryAfterMs };
}

function isShadow({ holdings }: Borrower, index: number): boolean {
  return holdings[index]?.limit.shadow === true;
}
