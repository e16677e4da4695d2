import {
  advance,
  changeAllowance,
  clockOf,
  freshAllowance,
  giveBack,
  isUnder,
  keepsCounts,
  lostAllowance,
  remaining,
  take as takeFrom,
  wholeAt,
  type Allowance,
  type AllowanceDecision,
} from "./algorithms/allowance.ts";
import { reserve } from "./algorithms/allowance-leases.ts";
import type { ClientState, PolicyState } from "./client-state.ts";
import { resetMs } from "./algorithms/fixed-window.ts";
import { LEASE_RULES, MAX_RESERVATIONS, type LeaseRules } from "./leases/lease-rules.ts";
import type { LimitItem } from "./limit-item.ts";
import { addReservations, endLeases, leaseEnds, withReserved, type NewReservation } from "./leases/live-leases.ts";
import type { RefundMessage, RefundReply, TakeItem, TakeMessage, TakeReply, TakeReplyItem } from "./messages.ts";
import { roomSince, type RefundRoom } from "./refund-room.ts";
import { countOnce } from "./replay-window.ts";
import { waitFor } from "./algorithms/token-bucket.ts";

/** A reply, and the state to store before it leaves: the very state that was passed in when there is nothing to store. */
export interface Outcome<Reply> {
  readonly state: ClientState;
  readonly reply: Reply;
}

/**
 * A record is kept this long after its last allowance is whole, so that a configuration version, a refund's number and
 * a clock a little wrong are outlived by what they refer to.
 */
const QUIET_MS = 60_000;

/** How long a client with a lost record keeps starting empty: as long as any limit that refills within a month needs. */
const LOST_MEMORY_MS = 31 * 24 * 3_600_000;

/** The allowance that a message's item is decided under. */
export interface OpenPolicy {
  /** What is recorded; undefined for a policy that the client has not met. */
  readonly known: PolicyState | undefined;
  readonly configVersion: number;
  /** Its `limit` is that of `known` unless the limit changed. */
  readonly allowance: Allowance;
}

/** One item of a message, decided on its own. */
interface Decided extends OpenPolicy {
  readonly item: TakeItem;
  readonly decision: AllowanceDecision;
}

/**
 * Decides a take: every item that is not a shadow must have its tokens, then all are deducted; else none is.
 *
 * Shadow items never block; one that would have refused is not deducted. A refusal leaves the state as it was unless
 * a limit changed or the clock stepped back, so a client that keeps hammering costs no writes and is not punished.
 * A message of a lower configuration version than the one that set a limit is decided under the recorded limit.
 */
export function take(state: ClientState, message: TakeMessage, now: number): Outcome<TakeReply> {
  const settled = endLeases(state, now);
  const full = reservationsFull(settled, message);
  const decided = message.items.map((item) => decide(settled, item, { message, full }, now));
  const allowed = decided.every(({ item, decision }) => decision.allowed || item.shadow);
  const changed: PolicyState[] = [];
  const reserved: NewReservation[] = [];
  let takenAt: number | undefined;
  const items: TakeReplyItem[] = [];
  for (const one of decided) {
    const isTaken = allowed && isSpent(one);
    const after = allowed ? one.decision.allowance : advance(one.allowance, now);
    if (isTaken || isChanged(one, after)) changed.push(policyState(one, after));
    if (isTaken) reserved.push(...reservationOf(one, after));
    if (isTaken) takenAt = now;
    items.push(replyItem(one, after, now));
  }
  if (changed.length === 0) return { state, reply: { v: 1, allowed, items } };
  const recorded = recordPolicies(settled, changed, now);
  const reply = { v: 1, allowed, items, ...(takenAt === undefined ? {} : { takenAt }) } as const;
  if (reserved.length === 0) return { state: recorded, reply };
  const { state: after, reservation } = addReservations(recorded, reserved, now);
  return { state: after, reply: { ...reply, reservation } };
}

/**
 * Gives back what a take deducted for a request that another owner then refused, once for each (isolate, seq).
 * Credits stop at the ceiling, and a policy without a record has nothing to credit.
 *
 * @param room how near to full the buckets have come by now, this state's included.
 */
export function refund(
  state: ClientState,
  message: RefundMessage,
  now: number,
  room: RefundRoom,
): Outcome<RefundReply> {
  const { takenAt } = message;
  const settled = endLeases(state, now);
  const credited: PolicyState[] = [];
  for (const { policy, cost } of message.items) {
    const known = settled.policies.find((one) => one.policy === policy);
    if (known === undefined) continue;
    const most = known.algorithm === "token-bucket" ? roomSince(room, policy, takenAt) : Infinity;
    if (most === 0) continue;
    const after = giveBack(known, Math.min(cost, most), takenAt, now);
    credited.push(policyState({ item: known, configVersion: known.configVersion }, after));
  }
  if (credited.length === 0) return { state, reply: { v: 1, refunded: false } };
  const refunds = countOnce(state.refunds, message.isolate, message.seq, now);
  if (refunds === undefined) return { state, reply: { v: 1, refunded: false } };
  return { state: { ...recordPolicies(settled, credited, now), refunds }, reply: { v: 1, refunded: true } };
}

/**
 * When the row may be dropped, in ms since the epoch: every allowance has then been whole for a minute, so a client
 * without a row is decided alike. (A burst raised later finds a full bucket of the new size, as a new client would.)
 */
export function forgettableAt(state: ClientState): number {
  let at = state.lostAt === undefined ? -Infinity : state.lostAt + LOST_MEMORY_MS;
  for (const policy of state.policies) at = Math.max(at, policyForgettableAt(state, policy));
  return at;
}

/** Whether the row may be dropped now. */
export function isForgettable(state: ClientState, now: number): boolean {
  return forgettableAt(state) <= now;
}

/**
 * The allowance of one policy, as a message of `configVersion` finds it: a limit that changed is in force, and nothing
 * is taken yet.
 */
export function openPolicy(
  state: ClientState,
  item: LimitItem,
  message: { readonly configVersion: number },
  now: number,
  rules: LeaseRules = LEASE_RULES,
): OpenPolicy {
  const known = state.policies.find((one) => one.policy === item.policy);
  if (known === undefined) {
    const { lostAt } = state;
    const allowance = lostAt === undefined ? freshAllowance(item, now) : lostAllowance(item, lostAt);
    return { known, configVersion: message.configVersion, allowance };
  }
  const configVersion = Math.max(message.configVersion, known.configVersion);
  // Two versions of the Worker run side by side during a rollout; the older must not flip the limit back.
  const isOlder = !rules.mayChangeLimit(message.configVersion, known.configVersion);
  if (isOlder || isUnder(known, item)) return { known, configVersion, allowance: known };
  const usedUpUntil = Math.max(now, ...leaseEnds(state, item.policy));
  return { known, configVersion, allowance: changeAllowance(known, item, now, usedUpUntil) };
}

/**
 * A state in which these policies are as given. Others that have nothing left to remember are dropped, and so are
 * leases and reservations of a policy that now counts in another way: they can't come back.
 */
export function recordPolicies(state: ClientState, changed: readonly PolicyState[], now: number): ClientState {
  const policies: PolicyState[] = [...changed];
  const recounted: string[] = [];
  for (const policy of state.policies) {
    const after = changed.find((one) => one.policy === policy.policy);
    if (after !== undefined && !keepsCounts(policy, after)) recounted.push(policy.policy);
    // Policies that were renamed or removed would pile up in the row.
    if (after === undefined && policyForgettableAt(state, policy) > now) policies.push(policy);
  }
  if (state.leases === undefined || recounted.length === 0) return { ...state, policies };
  const { lastId, live, reserved } = state.leases;
  const goesOn = (lease: { readonly policy: string }) => !recounted.includes(lease.policy);
  return { ...state, policies, leases: withReserved({ lastId, live: live.filter(goesOn) }, reserved?.filter(goesOn)) };
}

function decide(
  state: ClientState,
  item: TakeItem,
  { message, full }: { readonly message: TakeMessage; readonly full: number | undefined },
  now: number,
): Decided {
  const opened = openPolicy(state, item, message, now);
  if (item.reserveMs === undefined) return { ...opened, item, decision: takeFrom(opened.allowance, item.cost, now) };
  if (full === undefined) return { ...opened, item, decision: reserve(opened.allowance, item.cost, now) };
  const allowance = advance(opened.allowance, now);
  return { ...opened, item, decision: { allowed: false, allowance, retryAfterMs: Math.max(1, full - now) } };
}

/** When the first of too many reservations ends; undefined while there is room for those of the message. */
function reservationsFull({ leases }: ClientState, { items }: TakeMessage): number | undefined {
  const reserved = leases?.reserved ?? [];
  if (reserved.length === 0) return undefined;
  const wanted = items.filter(({ reserveMs }) => reserveMs !== undefined).length;
  if (reserved.length + wanted <= MAX_RESERVATIONS) return undefined;
  return Math.min(...reserved.map(({ expiresAt }) => expiresAt));
}

/** The members of the allowance come first: they may be those of a record with another version. */
function policyState(
  { item, configVersion }: { readonly item: { readonly policy: string }; readonly configVersion: number },
  allowance: Allowance,
): PolicyState {
  return { ...allowance, policy: item.policy, configVersion };
}

function reservationOf({ item }: Decided, after: Allowance): readonly NewReservation[] {
  const { policy, cost, reserveMs } = item;
  if (reserveMs === undefined) return [];
  const reservation = { policy, tokens: cost, reserveMs };
  return [after.algorithm === "token-bucket" ? reservation : { ...reservation, countedAt: clockOf(after) }];
}

function isSpent({ item, decision }: Decided): boolean {
  return decision.allowed && (item.cost > 0 || item.reserveMs !== undefined);
}

function isChanged({ known, configVersion, allowance }: Decided, after: Allowance): boolean {
  if (known === undefined) return false;
  // A step back of the clock must be recorded, or the client would wait until the clock caught up.
  const isRewound = clockOf(after) < clockOf(known);
  return isRewound || allowance.limit !== known.limit || configVersion !== known.configVersion;
}

function replyItem({ item, decision }: Decided, after: Allowance, now: number): TakeReplyItem {
  const { allowed, retryAfterMs } = decision;
  const reply = { policy: item.policy, allowed, remaining: remaining(after), retryAfterMs };
  return after.algorithm === "fixed-window" ? { ...reply, resetMs: resetMs(after.quota, after.limit, now) } : reply;
}

function policyForgettableAt(state: ClientState, policy: PolicyState): number {
  const ends = leaseEnds(state, policy.policy);
  if (policy.algorithm !== "token-bucket" || policy.bucket.outstanding === 0) {
    return Math.max(wholeAt(policy), ...ends) + QUIET_MS;
  }
  if (ends.length === 0) return Infinity;
  const { bucket, limit } = policy;
  const filledFrom = Math.max(bucket.last, ...ends);
  return filledFrom + waitFor(limit.burst, { tokens: Math.min(0, bucket.tokens), rem: 0 }, limit) + QUIET_MS;
}
