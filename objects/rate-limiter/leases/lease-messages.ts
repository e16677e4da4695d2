import { isCount } from "../../numbers.ts";
import { limitProblem, type LimitItem } from "../limit-item.ts";
import { MAX_ID_LENGTH, isText, itemsProblem, wanted, type Unchecked } from "../../message-checks.ts";
import type { OwnerNotices } from "../messages.ts";

/** The runtime takes longer names of objects too; ours have about 80 characters. */
const MAX_NAME_LENGTH = 256;

/**
 * What an isolate says to the owner of a client and what it hears back when it works from a lease. The rules of
 * `messages.ts` hold: unknown fields are ignored, `v` rises only when that cannot be had.
 */
export interface LeaseMessage {
  readonly v: 1;
  readonly configVersion: number;
  /** The client's handle: the row inside the object. */
  readonly client: string;
  /** Decide although the client is banned, which some of its requests are not stopped by; the reply tells the ban. */
  readonly evenIfBanned?: boolean;
  /** Names the sender for its life; a random id of at most 64 characters. */
  readonly isolate: string;
  /** Differs in every message of an isolate. A message that is sent again keeps its number and gets the same reply. */
  readonly seq: number;
  /** The lease that `held` and `spent` speak of; null: none. */
  readonly leaseId: number | null;
  /** True: the isolate goes on spending what it holds. False: it has let go of it, and the owner may have it back. */
  readonly keep: boolean;
  /** The most tokens of a policy that the isolate has use for in one lease; 0: only the answer, no lease. */
  readonly want: number;
  /** Since when `spent` counts, back from the sending. */
  readonly spanMs: number;
  /** The width of a bin of `spent`. */
  readonly binMs: number;
  /**
   * True: what the request costs is lent and not spent, so that the isolate spends it when other owners agree, or
   * returns it. `granted` then holds at least the cost of every item that is allowed. Absent: false.
   */
  readonly hold?: boolean;
  /** From an isolate to a shard: whose shard it is asked as. Only Workers reach objects, so no client can say it. */
  readonly shardOf?: ShardOf;
  /** From a shard to its root: what it lends on, and how busy it is. */
  readonly shard?: ShardReport;
  /** At most 32, each policy once. */
  readonly items: readonly LeaseItem[];
}

/** Which shard an isolate means (docs/design/shards.md). */
export interface ShardOf {
  /** The name of the object that owns the client. */
  readonly root: string;
  /** How many shards the isolate was told of. */
  readonly count: number;
}

/** What a shard tells its root beside what any borrower does. */
export interface ShardReport {
  /** How many shards it was told of, for a root that has just started. */
  readonly count: number;
  /** Messages that it had since the last report. */
  readonly calls: number;
}

/** One limit in a `LeaseMessage`. An approximate window is never lent: its cost is decided by the owner each time. */
export interface LeaseItem extends LimitItem {
  /** What the request that waits for the reply costs; 0 for a renewal or a return. */
  readonly cost: number;
  readonly shadow: boolean;
  /** Tokens of the lease that are not spent. */
  readonly held: number;
  /** Tokens of the lease that were spent since the last report, in ten bins of `binMs`, the oldest first. */
  readonly spent: readonly number[];
  /** Tokens a second that are asked for in this isolate, refused ones included. An estimate: any number >= 0. */
  readonly rate: number;
  /** Tokens that the isolate refused by itself since the last report. */
  readonly denied: number;
  /** What a request costs in this isolate on average. An estimate: any number >= 1. Absent: 1. */
  readonly usualCost?: number;
}

/** The answer to a `LeaseMessage`. */
export interface LeaseReply extends OwnerNotices {
  readonly v: 1;
  /** The request that waits may pass: every item that is not `shadow` had its cost, and it is taken, or lent (`hold`). */
  readonly allowed: boolean;
  /** The lease that the isolate now has; null: none. */
  readonly leaseId: number | null;
  /** How long after its message was sent the isolate may spend the lease. */
  readonly ttlMs: number;
  /** What it doesn't hold it refuses for so long, because the owner has nothing. */
  readonly holdMs: number;
  /** Return the lease after so long without a request; null: let it end by itself. */
  readonly closeIdleMs: number | null;
  /** In the order of the message. */
  readonly items: readonly LeaseReplyItem[];
}

/**
 * One limit's part of a `LeaseReply`. With `remaining`, `rem` and `room` an isolate knows what it would be told later.
 * Where the limit is no token bucket, `rem` is 0, `room` is `remaining` and more is there in `roomMs` at the earliest.
 */
export interface LeaseReplyItem {
  readonly policy: string;
  readonly allowed: boolean;
  /** Whole tokens left with the owner. */
  readonly remaining: number;
  /** 0 when allowed; else the shortest wait that helps; null: never, the cost exceeds the burst. */
  readonly retryAfterMs: number | null;
  /** What of `held` the new lease counts; 0: spend none of it any more. */
  readonly kept: number;
  /** Tokens that come on top. */
  readonly granted: number;
  /** The started token, in units of 1 / windowMs. */
  readonly rem: number;
  /** The most that the bucket can hold while the leases of now are out. */
  readonly room: number;
  /** When the first of those ends; null: there is none. Without a bucket: until something is released. */
  readonly roomMs: number | null;
}

/** What is wrong with a lease message, in words for a log, or undefined. */
export function leaseProblem(message: Unchecked<LeaseMessage>): string | undefined {
  if (message.v !== 1) return wanted("v", message.v, "1; deploy the Worker and its objects together");
  if (!isText(message.client, MAX_ID_LENGTH)) return wanted("client", message.client, "1 to 64 characters");
  if (!isText(message.isolate, MAX_ID_LENGTH)) return wanted("isolate", message.isolate, "1 to 64 characters");
  if (message.leaseId !== null && !isCount(message.leaseId)) {
    return wanted("leaseId", message.leaseId, "an integer >= 0 or null");
  }
  if (typeof message.keep !== "boolean") return wanted("keep", message.keep, "true or false");
  for (const field of ["configVersion", "seq", "want", "spanMs", "binMs"] as const) {
    if (!isCount(message[field])) return wanted(field, message[field], "an integer >= 0");
  }
  if (message.hold !== undefined && typeof message.hold !== "boolean") {
    return wanted("hold", message.hold, "true, false or nothing");
  }
  const problem = shardProblem(message);
  if (problem !== undefined) return problem;
  return itemsProblem(message.items, message.hold === true ? heldItemProblem : leaseItemProblem);
}

function shardProblem({ shard, shardOf }: Unchecked<LeaseMessage>): string | undefined {
  if (shardOf !== undefined) {
    if (!isObject(shardOf)) return wanted("shardOf", shardOf, "root and count");
    const { root, count }: Unchecked<ShardOf> = shardOf;
    if (!isText(root, MAX_NAME_LENGTH)) return wanted("shardOf.root", root, `1 to ${MAX_NAME_LENGTH} characters`);
    if (!isCount(count)) return wanted("shardOf.count", count, "an integer >= 0");
  }
  if (shard === undefined) return undefined;
  if (!isObject(shard)) return wanted("shard", shard, "count and calls");
  const { count, calls }: Unchecked<ShardReport> = shard;
  if (!isCount(count)) return wanted("shard.count", count, "an integer >= 0");
  return isCount(calls) ? undefined : wanted("shard.calls", calls, "an integer >= 0");
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function heldItemProblem(item: Unchecked<LeaseItem>, at: string): string | undefined {
  if (item.algorithm !== "approximate-sliding-window") return leaseItemProblem(item, at);
  return wanted(`${at}.algorithm`, item.algorithm, "one that is lent where `hold` is true; take and refund instead");
}

function leaseItemProblem(item: Unchecked<LeaseItem>, at: string): string | undefined {
  const problem = limitProblem(item, at);
  if (problem !== undefined) return problem;
  if (!isCount(item.held)) return wanted(`${at}.held`, item.held, "an integer >= 0");
  if (!isCount(item.denied)) return wanted(`${at}.denied`, item.denied, "an integer >= 0");
  if (!Number.isFinite(item.rate) || Number(item.rate) < 0) return wanted(`${at}.rate`, item.rate, "a number >= 0");
  if (item.usualCost !== undefined && !(Number.isFinite(item.usualCost) && Number(item.usualCost) >= 1)) {
    return wanted(`${at}.usualCost`, item.usualCost, "a number >= 1 or nothing");
  }
  if (!Array.isArray(item.spent) || !item.spent.every(isCount)) {
    return wanted(`${at}.spent`, item.spent, "a list of integers >= 0");
  }
  return undefined;
}
