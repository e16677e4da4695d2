import { isSpendable, newBorrower, type BorrowedLimit, type Borrower } from "../leases/borrower.ts";
import type { Demand } from "../leases/demand.ts";
import { demandFor } from "../leases/demand.ts";
import type { LeaseItem, LeaseMessage, LeaseReply } from "../leases/lease-messages.ts";
import { MAX_TTL_MS } from "../leases/lease-rules.ts";
import type { BanNotice } from "../messages.ts";
import type { ShardRules } from "./shard-rules.ts";

/**
 * One client under one set of limits, as a shard of it knows them: what it has borrowed of the root, and what it has lent
 * of that to isolates. All of it is in memory, and may be lost at any time. Changed in place, as a borrower is.
 */
export interface Branch {
  /** The shard as a borrower of the root. `tokens` of its holdings are the pool: borrowed and not lent. */
  readonly parent: Borrower;
  /** Its isolates ask although the client may be banned; so it does. */
  readonly evenIfBanned: boolean;
  /** What is lent, by its id. */
  readonly children: Map<number, Child>;
  /** The isolates that asked lately. */
  readonly peers: Map<string, BranchPeer>;
  lastId: number;
  /** Messages since the last report to the root. */
  calls: number;
  heardAt: number;
  /** The root failed: until then nobody asks it again. */
  failedUntil: number;
  shards: { readonly count: number; readonly until: number } | undefined;
  /** What the root said of a ban, told on while it is fresh. */
  ban: { readonly notice: BanNotice; readonly at: number } | undefined;
}

/** What one isolate has on lease from the shard. */
export interface Child {
  readonly id: number;
  readonly isolate: string;
  /** By the shard's clock, guard included: not after the parent lease under which it was lent. */
  readonly expiresAt: number;
  /** By policy, those that are not known to be spent or returned; 0 where the root counts them no longer. */
  readonly tokens: number[];
}

/** An isolate as its shard remembers it. */
export interface BranchPeer {
  readonly isolate: string;
  readonly at: number;
  readonly rates: ReadonlyMap<string, number>;
  /** Its last message that was answered, and the answer. */
  readonly told: { readonly seq: number; readonly reply: LeaseReply } | undefined;
}

const MAX_PEERS = 128;

/**
 * A branch that holds nothing and knows nothing.
 *
 * @param message the first that was heard; its client, configuration and limits are the branch's.
 * @param isolate names this branch of this instance to the root; no other may ever have had the name.
 * @param firstId no other instance and no root may use the ids from here on.
 */
export function newBranch(message: LeaseMessage, isolate: string, firstId: number): Branch {
  const limits = message.items.map(limitOf);
  return {
    evenIfBanned: message.evenIfBanned === true,
    parent: newBorrower(message.client, message.configVersion, limits, { isolate, seq: 0 }),
    children: new Map(),
    peers: new Map(),
    lastId: firstId,
    calls: 0,
    heardAt: -Infinity,
    failedUntil: -Infinity,
    shards: undefined,
    ban: undefined,
  };
}

/** What tells the branches of a shard apart. */
export function branchKey({ client, configVersion, evenIfBanned = false, items }: LeaseMessage): string {
  return JSON.stringify([client, configVersion, evenIfBanned, ...items.map(limitOf)]);
}

/** Ends what is lent and over: it may have been spent, so nobody gets it. */
export function settle({ children }: Branch, now: number): void {
  for (const child of children.values()) if (child.expiresAt <= now) children.delete(child.id);
}

/** What the isolate of a message has on lease, if that is what the message speaks of. */
export function childOf({ children }: Branch, { leaseId, isolate }: LeaseMessage): Child | undefined {
  const found = leaseId === null ? undefined : children.get(leaseId);
  return found?.isolate === isolate ? found : undefined;
}

/** Tokens of a policy that may be spent or lent. */
export function poolOf({ parent }: Branch, index: number, now: number, rules: ShardRules): number {
  return rules.mayLend(isSpendable(parent, now)) ? (parent.holdings[index]?.tokens ?? 0) : 0;
}

/** Tokens of a policy that are lent, as far as the shard knows. */
export function lentOf({ children }: Branch, index: number): number {
  let tokens = 0;
  for (const child of children.values()) tokens += child.tokens[index] ?? 0;
  return tokens;
}

/** Remembers an isolate as the one heard last; the one that was silent for longest goes where there are too many. */
export function remember({ peers }: Branch, peer: BranchPeer): void {
  peers.delete(peer.isolate);
  peers.set(peer.isolate, peer);
  for (const { isolate, at } of peers.values()) {
    if (peers.size <= MAX_PEERS && peer.at - at < 2 * MAX_TTL_MS) break;
    peers.delete(isolate);
  }
}

/** What this shard's isolates want of a policy. */
export function demandHere({ peers }: Branch, policy: string, now: number): Demand {
  return demandFor([...peers.values()], policy, now);
}

function limitOf(item: LeaseItem): BorrowedLimit {
  const { policy, tokensPerWindow, windowMs, burst, shadow, algorithm, calendar } = item;
  if (algorithm === "approximate-sliding-window")
    throw new TypeError(`cannot lend ${policy}: its algorithm has no leases`);
  const limit = { policy, tokensPerWindow, windowMs, burst, shadow };
  if (algorithm === undefined) return limit;
  return calendar === undefined ? { ...limit, algorithm } : { ...limit, algorithm, calendar };
}
