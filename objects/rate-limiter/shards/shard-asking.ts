import { isSpendable } from "../leases/borrower.ts";
import { answer } from "../leases/lease.ts";
import { isAwaiting } from "../leases/lease-asking.ts";
import type { LeaseItem, LeaseMessage, LeaseReply } from "../leases/lease-messages.ts";
import type { LeaseRules } from "../leases/lease-rules.ts";
import { demandHere, lentOf, settle, type Branch } from "./shard-branch.ts";
import { restart } from "../leases/spend-histogram.ts";

/** The root decides how much; a shard says no less than it could ever use. */
const LARGEST_WANT = 4_096;
/** How often a shard asks at most while it has something left, for each shard that there is: together 50 times a second. */
const RENEW_GAP_MS = 20;
const MIN_RENEW_GAP_MS = 50;
const LOW_MS = 125;
/** A root that failed is left alone for so long. */
const FAILURE_PAUSE_MS = 100;
/** A shard without children returns its lease after so long without a message. */
const IDLE_MS = 500;
/** Reports come several times in the life of a lease; finer bins than an isolate's credit more. */
const REPORT_SHARE = 0.5;

/** What is asked of the root beside what is told. */
interface Asked {
  /** Of the request that waits, by policy; empty: none does. */
  readonly costs: readonly number[];
  readonly keep: boolean;
  readonly want: number;
}

/**
 * Asks the root for what the shard will need. What is held goes on being lent meanwhile; only of a lease that is over
 * and of which nothing below lives what is left is returned.
 *
 * @param costs of a request that waits: at least so much is lent when it may pass.
 */
export function askRoot(branch: Branch, costs: readonly number[], now: number): LeaseMessage {
  const { parent } = branch;
  const keep = parent.leaseId !== null && (isSpendable(parent, now) || branch.children.size > 0);
  const message = compose(branch, { costs, keep, want: LARGEST_WANT }, now);
  if (!keep) letGo(branch);
  parent.awaited = message.seq;
  parent.awaitedSince = now;
  return message;
}

/** A renewal when one is due: little is left to lend, or what is lent soon could not live long enough. */
export function renewal(branch: Branch, now: number): LeaseMessage | undefined {
  const { parent } = branch;
  if (parent.leaseId === null || isAwaiting(parent, now)) return undefined;
  if (now < parent.renewAt || now < branch.failedUntil) return undefined;
  const isEnding = parent.expiresAt - now < parent.ttlMs / 2;
  if (!isEnding && !isLow(branch, now)) return undefined;
  return askRoot(branch, [], now);
}

/** Returns the lease of a shard that nobody asks any more; undefined while it is in use, or there is none. */
export function retire(branch: Branch, now: number): LeaseMessage | undefined {
  const { parent } = branch;
  settle(branch, now);
  if (parent.leaseId === null || branch.children.size > 0) return undefined;
  if (now - branch.heardAt < IDLE_MS || isAwaiting(parent, now)) return undefined;
  const message = compose(branch, { costs: [], keep: false, want: 0 }, now);
  letGo(branch);
  return message;
}

/** When `retire` is worth another try, by the shard's clock; undefined: there is nothing to return. */
export function retireAt({ parent, children, heardAt }: Branch): number | undefined {
  if (parent.leaseId === null) return undefined;
  let at = heardAt + IDLE_MS;
  for (const { expiresAt } of children.values()) at = Math.max(at, expiresAt);
  return at;
}

/** Takes in the root's reply to message `seq`. */
export function answerFromRoot(branch: Branch, seq: number, reply: LeaseReply, now: number, rules: LeaseRules): void {
  const { parent, children } = branch;
  const before = parent.leaseId;
  const isAwaited = parent.awaited === seq;
  answer(parent, seq, reply, now, rules);
  branch.failedUntil = -Infinity;
  if (reply.shards !== undefined) branch.shards = { count: reply.shards.count, until: now + reply.shards.ttlMs };
  branch.ban = reply.ban === undefined ? undefined : { notice: reply.ban, at: now };
  if (!isAwaited) return;
  parent.renewAt = Math.max(parent.renewAt, now + renewGap(branch));
  if (reply.leaseId === before) return;
  // What the root's lease no longer counts may be spent until it ends, and is nobody's when it comes back.
  for (const [index] of parent.holdings.entries()) {
    if (reply.leaseId !== null && (reply.items[index]?.kept ?? 0) > 0) continue;
    for (const child of children.values()) child.tokens[index] = 0;
  }
}

/** The call of message `seq` failed: who waits for it is told so, and so is who comes shortly after. */
export function failedAtRoot(branch: Branch, seq: number, now: number): void {
  if (branch.parent.awaited !== seq) return;
  branch.parent.awaited = 0;
  branch.failedUntil = now + FAILURE_PAUSE_MS;
}

/** Less to lend than isolates ask for in 125 ms, half of what the root gives when it can. */
function isLow(branch: Branch, now: number): boolean {
  const { parent } = branch;
  return parent.holdings.some(({ limit, tokens, usualCost }) => {
    if (limit.shadow) return false;
    const { rate } = demandHere(branch, limit.policy, now);
    return tokens < usualCost + (rate * Math.min(LOW_MS, parent.ttlMs / 8)) / 1_000;
  });
}

function renewGap({ parent, shards }: Branch): number {
  const gapMs = Math.max(MIN_RENEW_GAP_MS, RENEW_GAP_MS * (shards?.count ?? 0));
  return Math.min(gapMs, parent.ttlMs / 4);
}

function compose(branch: Branch, { costs, keep, want }: Asked, now: number): LeaseMessage {
  const { parent, shards, calls } = branch;
  const { client, configVersion, sender, holdings, leaseId } = parent;
  const first = holdings[0]?.spent;
  const items = holdings.map((holding, index): LeaseItem => {
    const item = {
      ...holding.limit,
      cost: costs[index] ?? 0,
      held: leaseId === null ? 0 : holding.tokens + (keep ? lentOf(branch, index) : 0),
      spent: leaseId === null ? [] : [...holding.spent.bins],
      rate: demandHere(branch, holding.limit.policy, now).rate,
      denied: holding.denied,
      ...(holding.usualCost > 1 && { usualCost: holding.usualCost }),
    };
    holding.denied = 0;
    return item;
  });
  const message = {
    v: 1,
    configVersion,
    client,
    isolate: sender.isolate,
    seq: (sender.seq += 1),
    leaseId,
    keep,
    want,
    spanMs: leaseId === null || first === undefined ? 0 : Math.max(0, now - first.since),
    binMs: first?.binMs ?? 1,
    shard: { count: shards?.count ?? 0, calls },
    items,
  } as const;
  for (const { spent } of holdings) restart(spent, parent.ttlMs * REPORT_SHARE, now);
  branch.calls = 0;
  return {
    ...message,
    ...(costs.some((cost) => cost > 0) && { hold: true }),
    ...(branch.evenIfBanned && { evenIfBanned: true }),
  };
}

/** Nothing that was lent lives any more when this is called, so all that the root counts is in the message. */
function letGo({ parent, children }: Branch): void {
  for (const holding of parent.holdings) holding.tokens = 0;
  parent.leaseId = null;
  children.clear();
}
