import { isSpendable, knownWait, type Borrower, type Holding } from "./borrower.ts";
import type { LeaseItem, LeaseMessage, LeaseReply } from "./lease-messages.ts";
import { LEASE_RULES, type LeaseRules } from "./lease-rules.ts";
import { countSpent, restart } from "./spend-histogram.ts";

/** What an isolate does with a request. */
export type Arrival =
  /** It passes. `renewal` is to be sent off the request's path; `shadowed`: a shadow policy would have refused it. */
  | { readonly kind: "admitted"; readonly renewal: LeaseMessage | undefined; readonly shadowed: boolean }
  /** It is refused without a call; per policy, the wait in ms (0: not this one's fault; null: never). */
  | { readonly kind: "refused"; readonly retryAfterMs: readonly (number | null)[] }
  /** The owner decides about it. */
  | { readonly kind: "ask"; readonly message: LeaseMessage }
  /** A call is under way: come back after so long with the time waited. Waiting for its promise could wedge the isolate. */
  | { readonly kind: "wait"; readonly pollMs: number };

/** How long a request waits for a call that another one made before it makes its own. */
const MAX_WAIT_MS = 100;
const POLL_MS = 5;
/** After this a call counts as lost, and a late reply changes nothing any more. */
const CALL_MS = 1_000;
/** No renewal so soon after one that brought nothing. */
const RENEW_PAUSE_MS = 100;
const LARGEST_WANT = 4_096;
const RATE_TAU_MS = 1_000;

const ADMITTED: Arrival = { kind: "admitted", renewal: undefined, shadowed: false };
const SHADOWED: Arrival = { kind: "admitted", renewal: undefined, shadowed: true };
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
  const isOpen = isSpendable(borrower, now);
  let lacks = false;
  let refuses = false;
  let shadowed = false;
  for (let index = 0; index < borrower.holdings.length; index++) {
    const holding = borrower.holdings[index];
    const cost = costs[index] ?? 0;
    const held = isOpen && holding !== undefined ? holding.tokens : 0;
    if (holding === undefined || cost <= held) continue;
    const isRefused = cost > holding.limit.burst || knownWait(borrower, holding, cost - held, now) > 0;
    if (holding.limit.shadow && isRefused) shadowed = true;
    if (holding.limit.shadow && isRefused) continue;
    lacks = true;
    refuses ||= isRefused;
  }
  if (!lacks) return spend(borrower, costs, isOpen, shadowed, now, rules);
  if (refuses) return refuse(borrower, costs, isOpen, now);
  if (isAwaiting(borrower, now)) {
    if (waitedMs < MAX_WAIT_MS) return WAIT;
    return { kind: "ask", message: message(borrower, now, rules, { costs, keep: false, want: 0, lease: false }) };
  }
  return { kind: "ask", message: ask(borrower, costs, now, rules) };
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
 * a call is under way. What was held is forgotten before the message exists, so it can never be both returned and spent.
 */
export function close(borrower: Borrower, now: number, rules: LeaseRules = LEASE_RULES): LeaseMessage | undefined {
  const dueAt = closeAt(borrower);
  if (dueAt === undefined || now < dueAt || isAwaiting(borrower, now)) return undefined;
  return giveUp(borrower, now, rules);
}

/** Returns whatever lease there is, because its configuration or its place in the table is gone; undefined without one. */
export function giveUp(borrower: Borrower, now: number, rules: LeaseRules = LEASE_RULES): LeaseMessage | undefined {
  if (borrower.leaseId === null) return undefined;
  adaptWant(borrower, now);
  const sent = message(borrower, now, rules, { costs: [], keep: false, want: 0, lease: true });
  letGo(borrower);
  return sent;
}

function spend(
  borrower: Borrower,
  costs: readonly number[],
  isOpen: boolean,
  shadowed: boolean,
  now: number,
  rules: LeaseRules,
): Arrival {
  let low = false;
  for (let index = 0; index < borrower.holdings.length; index++) {
    const holding = borrower.holdings[index];
    const cost = costs[index] ?? 0;
    // Not taken from a shadow that would have refused, nor from one without a lease.
    if (holding === undefined || !isOpen || holding.tokens < cost) continue;
    holding.tokens -= cost;
    if (cost > 0) countSpent(holding.spent, cost, now);
    if (!holding.limit.shadow) low ||= holding.tokens < lowMark(borrower, holding);
  }
  borrower.usedAt = now;
  const mayRenew = low && borrower.leaseId !== null && now >= borrower.renewAt && now >= borrower.holdUntil;
  if (!mayRenew || isAwaiting(borrower, now)) return shadowed ? SHADOWED : ADMITTED;
  adaptWant(borrower, now);
  const renewal = message(borrower, now, rules, { costs: [], keep: true, want: borrower.want, lease: true });
  expect(borrower, renewal.seq, now);
  return { kind: "admitted", renewal, shadowed };
}

/** At least one token; enough for twice a round trip and one more, but not before half of a small lease is spent. */
function lowMark({ size, rttMs }: Borrower, { rateBefore }: Holding): number {
  return Math.max(1, Math.min(size / 2, 1 + (2 * rateBefore * rttMs) / 1_000));
}

function refuse(borrower: Borrower, costs: readonly number[], isOpen: boolean, now: number): Arrival {
  const retryAfterMs = borrower.holdings.map((holding, index) => {
    const cost = costs[index] ?? 0;
    const held = isOpen ? holding.tokens : 0;
    holding.denied += cost;
    if (cost > holding.limit.burst) return null;
    return cost <= held ? 0 : Math.ceil(knownWait(borrower, holding, cost - held, now));
  });
  return { kind: "refused", retryAfterMs };
}

/** Returns what is left, which is too little, and asks anew: the owner then decides over all there is. */
function ask(borrower: Borrower, costs: readonly number[], now: number, rules: LeaseRules): LeaseMessage {
  adaptWant(borrower, now);
  const sent = message(borrower, now, rules, { costs, keep: false, want: borrower.want, lease: true });
  letGo(borrower);
  expect(borrower, sent.seq, now);
  return sent;
}

function message(
  borrower: Borrower,
  now: number,
  rules: LeaseRules,
  { costs, keep, want, lease }: { costs: readonly number[]; keep: boolean; want: number; lease: boolean },
): LeaseMessage {
  const { client, configVersion, sender, holdings, ttlMs } = borrower;
  const speaksOf = lease ? borrower.leaseId : null;
  const first = holdings[0]?.spent;
  const spanMs = speaksOf === null || first === undefined ? 0 : Math.max(0, now - first.since);
  const binMs = first?.binMs ?? 1;
  const fade = Math.exp(Math.min(0, borrower.ratedAt - now) / RATE_TAU_MS);
  const items = holdings.map((holding, index): LeaseItem => {
    const { policy, tokensPerWindow, windowMs, burst, shadow } = holding.limit;
    const item = {
      policy,
      tokensPerWindow,
      windowMs,
      burst,
      shadow,
      cost: costs[index] ?? 0,
      held: speaksOf === null ? 0 : holding.tokens,
      spent: speaksOf === null ? [] : [...holding.spent.bins],
      rate: rules.reportedRate(holding.rateBefore, holding.rate) * fade,
      denied: holding.denied,
    };
    holding.denied = 0;
    if (lease) restart(holding.spent, ttlMs, now);
    return item;
  });
  sender.seq += 1;
  return {
    v: 1,
    configVersion,
    client,
    isolate: sender.isolate,
    seq: sender.seq,
    leaseId: speaksOf,
    keep,
    want,
    spanMs,
    binMs,
    items,
  };
}

function letGo(borrower: Borrower): void {
  for (const holding of borrower.holdings) holding.tokens = 0;
  borrower.leaseId = null;
}

function expect(borrower: Borrower, seq: number, now: number): void {
  borrower.awaited = seq;
  borrower.awaitedSince = now;
}

function isAwaiting({ awaited, awaitedSince }: Borrower, now: number): boolean {
  return awaited !== 0 && now - awaitedSince >= 0 && now - awaitedSince < CALL_MS;
}

/** Slow start: twice as much after a lease that was used up, half after one of which more than half was not. */
function adaptWant(borrower: Borrower, now: number): void {
  if (borrower.leaseId === null || borrower.size === 0) return;
  const left = borrower.holdings[0]?.tokens ?? 0;
  if (left > borrower.size / 2) borrower.want = Math.max(2, Math.floor(borrower.want / 2));
  else if (now < borrower.expiresAt) borrower.want = Math.min(LARGEST_WANT, borrower.want * 2);
}

/** Exponentially weighted rate, the request that arrives apart from those before it. */
function countDemand(borrower: Borrower, costs: readonly number[], now: number): void {
  const fade = Math.exp(Math.min(0, borrower.ratedAt - now) / RATE_TAU_MS);
  for (let index = 0; index < borrower.holdings.length; index++) {
    const holding: Holding | undefined = borrower.holdings[index];
    if (holding === undefined) continue;
    holding.rateBefore = holding.rate * fade;
    holding.rate = holding.rateBefore + ((costs[index] ?? 0) * 1_000) / RATE_TAU_MS;
  }
  borrower.ratedAt = now;
}
