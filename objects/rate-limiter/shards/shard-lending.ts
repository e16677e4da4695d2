import { closeIdleAfter, sizeLease, timeToLive, type Demand } from "../leases/demand.ts";
import type { LeaseMessage, LeaseReply, LeaseReplyItem } from "../leases/lease-messages.ts";
import { MAX_LEASES } from "../leases/lease-rules.ts";
import { childOf, demandHere, poolOf, type Branch } from "./shard-branch.ts";
import type { AllRules } from "./shard-rules.ts";
import { advance } from "../algorithms/token-bucket.ts";

/** How long a cost is missing: 0: the pool has it; in ms; null: for ever; "unknown": the root may have it. */
export type Wait = number | null | "unknown";

/** What was decided about the request of a message. */
export interface Verdict {
  /** By policy. */
  readonly waits: readonly Wait[];
  readonly allowed: boolean;
}

/** What is lent to an isolate. */
interface Loan {
  readonly demands: readonly Demand[];
  readonly ttlMs: number;
  /** By policy: what the isolate goes on holding, and what comes on top. */
  readonly kept: readonly number[];
  readonly granted: readonly number[];
}

/** A lease that lives less is over before it is worth its call. */
const MIN_CHILD_MS = 100;
/** An isolate believes what it hears of a ban for 2 s, which is what an unban may take: a shard adds next to nothing. */
const BAN_MS = 100;
/** What is told where nobody knows better: ask again. */
const RETRY_MS = 1;

/** Whether a lease could be given to the isolate of this message. */
export function canLend(branch: Branch, message: LeaseMessage, now: number, rules: AllRules): boolean {
  if (branch.children.size >= MAX_LEASES && childOf(branch, message) === undefined) return false;
  return lifeOf(branch, now, rules) >= MIN_CHILD_MS;
}

/** Lends the isolate of a message what it will use soon, and makes the reply. */
export function lend(
  branch: Branch,
  message: LeaseMessage,
  verdict: Verdict,
  now: number,
  rules: AllRules,
): LeaseReply {
  const { shards } = branch;
  const loan = loanFor(branch, message, verdict, now, rules);
  const leaseId = record(branch, message, loan, now, rules);
  const { demands, ttlMs } = loan;
  const reply: LeaseReply = {
    v: 1,
    allowed: verdict.allowed,
    leaseId,
    ttlMs: Math.max(MIN_CHILD_MS, ttlMs),
    ...pauseFor(branch, loan, now),
    isolates: (demands[0]?.isolates ?? 1) * Math.max(1, shards?.count ?? 1),
    items: message.items.map((_, index) => replyItem(branch, message, { verdict, loan, index }, now, rules)),
  };
  return withNotices(branch, reply, now);
}

/**
 * Cut for all policies alike to what the scarcest of them can give, as the owner does it. Half of what is here, or all of it when the
 * client is short of tokens anywhere.
 */
function loanFor(branch: Branch, message: LeaseMessage, verdict: Verdict, now: number, rules: AllRules): Loan {
  const { parent } = branch;
  const child = childOf(branch, message);
  const demands = message.items.map(({ policy }) => fleetDemand(branch, policy, now));
  const limits = parent.holdings.map(({ limit }, index) => timeToLive(limit, demands[index] ?? NO_DEMAND));
  const ttlMs = Math.min(lifeOf(branch, now, rules), ...limits);
  const kept = message.items.map((_, index) => child?.tokens[index] ?? 0);
  const isHeld = message.hold === true && verdict.allowed;
  const held = message.items.map(({ cost }, index) => (isHeld && verdict.waits[index] === 0 ? cost : 0));
  if (!canLend(branch, message, now, rules)) return { demands, ttlMs, kept, granted: held };
  let share = 1;
  const sizings = message.items.map(({ cost, rate, shadow, usualCost }, index) => {
    const holding = parent.holdings[index];
    if (holding === undefined) return { ideal: 0, supply: 0 };
    const { limit } = holding;
    const tokens = poolOf(branch, index, now, rules.shard);
    const asker = { rate, cost, usualCost, want: message.want };
    const sizing = sizeLease({ limit, demand: demands[index] ?? NO_DEMAND, tokens }, asker, ttlMs);
    const has = (kept[index] ?? 0) + sizing.supply;
    if (!shadow) share = Math.min(share, sizing.ideal === 0 ? 0 : has / sizing.ideal);
    return sizing;
  });
  const more = sizings.map(({ ideal, supply }, index) =>
    Math.max(0, Math.min(supply, Math.floor(ideal * share) - (kept[index] ?? 0))),
  );
  const isUseless = message.items.some(({ shadow }, index) => !shadow && (kept[index] ?? 0) + (more[index] ?? 0) === 0);
  if (isUseless) return { demands, ttlMs, kept, granted: held };
  for (const [index, holding] of parent.holdings.entries()) holding.tokens -= more[index] ?? 0;
  return { demands, ttlMs, kept, granted: more.map((tokens, index) => tokens + (held[index] ?? 0)) };
}

/** Notes what the isolate has now; the id of its lease. */
function record(
  branch: Branch,
  message: LeaseMessage,
  { kept, granted, ttlMs }: Loan,
  now: number,
  rules: AllRules,
): number | null {
  const { children } = branch;
  const child = childOf(branch, message);
  if (granted.every((tokens) => tokens === 0)) return kept.some((tokens) => tokens > 0) ? (child?.id ?? null) : null;
  if (child !== undefined) children.delete(child.id);
  branch.lastId += 1;
  const id = branch.lastId;
  const tokens = kept.map((one, index) => one + (granted[index] ?? 0));
  // As the owner does it: if the reply is lost, the isolate goes on by the lease that it has.
  const reported = child !== undefined && kept.some((one) => one > 0) ? child.expiresAt : 0;
  const expiresAt = Math.max(now + ttlMs + rules.lease.guardMs, reported);
  children.set(id, { id, isolate: message.isolate, expiresAt, tokens });
  return id;
}

/** How long what is lent now may live, so that it ends, guard included, before the shard's own lease. */
function lifeOf({ parent }: Branch, now: number, { lease, shard }: AllRules): number {
  if (parent.leaseId === null) return 0;
  const leftMs = Math.floor(shard.childEnd(parent.expiresAt) - now - lease.guardMs);
  return Math.min(leftMs, Math.floor(parent.ttlMs / 2));
}

/** The root's pause: it sees all the demand, and what is left of a pause is different for everyone who hears of it. */
function pauseFor(
  { parent }: Branch,
  { demands, ttlMs }: Loan,
  now: number,
): Pick<LeaseReply, "holdMs" | "closeIdleMs"> {
  let closeIdleMs: number | null = null;
  for (const [index, { limit }] of parent.holdings.entries()) {
    const idleMs = closeIdleAfter(limit, demands[index] ?? NO_DEMAND, ttlMs);
    if (idleMs !== null) closeIdleMs = Math.min(closeIdleMs ?? Infinity, idleMs);
  }
  return { holdMs: Math.max(0, Math.min(parent.ttlMs, parent.holdUntil - now)), closeIdleMs };
}

function replyItem(
  branch: Branch,
  message: LeaseMessage,
  { verdict, loan, index }: { readonly verdict: Verdict; readonly loan: Loan; readonly index: number },
  now: number,
  rules: AllRules,
): LeaseReplyItem {
  const wait = verdict.waits[index] === undefined ? null : verdict.waits[index];
  return {
    policy: message.items[index]?.policy ?? "",
    allowed: wait === 0,
    retryAfterMs: wait === "unknown" ? RETRY_MS : wait,
    kept: loan.kept[index] ?? 0,
    granted: loan.granted[index] ?? 0,
    ...levelOf(branch, index, now, rules),
  };
}

/** What an isolate would find here: the pool, and the root's level as it should be by now. */
function levelOf(
  branch: Branch,
  index: number,
  now: number,
  rules: AllRules,
): Pick<LeaseReplyItem, "remaining" | "rem" | "room" | "roomMs"> {
  const holding = branch.parent.holdings[index];
  const pool = poolOf(branch, index, now, rules.shard);
  if (holding === undefined || holding.levelAt === -Infinity) return { remaining: pool, rem: 0, room: pool, roomMs: 0 };
  const { limit, refills, level, rem, room, roomMs, levelAt } = holding;
  const leftMs = Math.max(0, roomMs - (now - levelAt));
  if (!refills) return { remaining: pool + level, rem: 0, room: pool + level, roomMs: leftMs };
  const outstanding = Math.max(0, limit.burst - room);
  const seen = advance({ tokens: level, rem, last: levelAt, outstanding }, limit, now);
  return {
    remaining: Math.min(limit.burst, pool + seen.tokens),
    rem: seen.rem,
    room: Math.min(limit.burst, pool + room),
    roomMs: leftMs,
  };
}

function withNotices({ ban, shards }: Branch, reply: LeaseReply, now: number): LeaseReply {
  let told = reply;
  if (ban !== undefined && now - ban.at < BAN_MS) told = { ...told, ban: ban.notice };
  if (shards === undefined || shards.until <= now) return told;
  return { ...told, shards: { count: shards.count, ttlMs: shards.until - now } };
}

/** The shard's own isolates are about one in so many of the client's. */
function fleetDemand(branch: Branch, policy: string, now: number): Demand {
  const { rate, isolates } = demandHere(branch, policy, now);
  return { rate: rate * Math.max(1, branch.shards?.count ?? 1), isolates };
}

const NO_DEMAND: Demand = { rate: 0, isolates: 0 };
