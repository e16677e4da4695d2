import { isCount } from "../numbers.ts";
import { limitProblem, type Algorithm, type Calendar, type LimitItem } from "./limit-item.ts";
import { MAX_ID_LENGTH, costProblem, isText, itemsProblem, wanted, type Unchecked } from "../message-checks.ts";

/**
 * What a Worker says to a `RateLimiter` and what it hears back. Worker and object may be of different versions for
 * minutes during a rollout: both sides ignore fields that they don't know, an added field must be safe to ignore,
 * and `v` rises only when that cannot be had.
 */

/** Asks for tokens under several limits of one client, all of them or none. */
export interface TakeMessage {
  readonly v: 1;
  /** The configuration that the limits come from. A lower version than the recorded one never changes a limit. */
  readonly configVersion: number;
  /** The client's handle as `objects/address.ts` makes it: the row inside the object. */
  readonly client: string;
  /** Decide although the client is banned, which some of its requests are not stopped by; the reply tells the ban. */
  readonly evenIfBanned?: boolean;
  /** At most 32, each policy once. */
  readonly items: readonly TakeItem[];
}

/** One limit in a `TakeMessage`. */
export interface TakeItem extends LimitItem {
  /** 0 looks without taking. */
  readonly cost: number;
  /** Decided and reported, never in the way of the request. */
  readonly shadow: boolean;
  /**
   * Holds the cost until `settle` says what the request really cost, for at most so long; then the cost is what it
   * was. Absent: the cost is known and taken. From 1 ms to an hour.
   */
  readonly reserveMs?: number;
}

/** What any reply of an owner may say besides. A field that is absent says nothing. */
export interface OwnerNotices {
  /** Isolates that asked about this client within the last two seconds; of permits, those that have any. */
  readonly isolates?: number;
  /** The client is banned for so long; believe it for 2 s at most. */
  readonly ban?: BanNotice;
  /** The owner is asked too often: ask one of so many shards instead, for so long. */
  readonly shards?: ShardNotice;
}

/** A ban as an isolate may know it. */
export interface BanNotice {
  readonly remainingMs: number;
  readonly reason: string;
}

/** How the callers of a hot owner are spread. */
export interface ShardNotice {
  readonly count: number;
  readonly ttlMs: number;
}

/** The answer to a `TakeMessage`. */
export interface TakeReply extends OwnerNotices {
  readonly v: 1;
  /** Every item that is not `shadow` had its tokens, and they are taken. */
  readonly allowed: boolean;
  /** In the order of the message. */
  readonly items: readonly TakeReplyItem[];
  /** What `settle` names; absent or null: nothing was reserved. */
  readonly reservation?: number | null;
  /** When it was taken, by the owner's clock: what a refund must say. Absent: nothing was. */
  readonly takenAt?: number;
}

/** One limit's own verdict; the request may still have been refused for another's sake. */
export interface TakeReplyItem {
  readonly policy: string;
  readonly allowed: boolean;
  /** Whole tokens left after the decision. */
  readonly remaining: number;
  /** 0 when allowed; else the shortest wait that helps; null: never, the cost exceeds the burst. */
  readonly retryAfterMs: number | null;
  /** Until the running window ends; only of a `fixed-window` limit. */
  readonly resetMs?: number;
}

/**
 * Gives back what a `TakeMessage` took for a request that another owner then refused. `isolate` and `seq` make it
 * count once however often it arrives: `seq` must differ in each refund of an isolate and should rise.
 */
export interface RefundMessage {
  readonly v: 1;
  readonly client: string;
  /** Names the sender for its life; a random id made with it, at most 64 characters. */
  readonly isolate: string;
  readonly seq: number;
  /** `takenAt` of the reply to the take. Without it nothing comes back. */
  readonly takenAt?: number;
  /** At most 32, each policy once. */
  readonly items: readonly RefundItem[];
}

/** The tokens of one limit to give back. */
interface RefundItem {
  readonly policy: string;
  readonly cost: number;
}

/** Whether a refund was credited. False: seen before, too old, or nothing recorded to credit; don't send it again. */
export interface RefundReply {
  readonly v: 1;
  readonly refunded: boolean;
}

/** A client's live counters, for an operator. Looking changes nothing. */
export interface ClientReport {
  readonly v: 1;
  readonly client: string;
  /** The last answer since the object woke; null when it has not been asked since. */
  readonly lastDecision: { readonly at: number; readonly allowed: boolean } | null;
  /** A policy is listed from its first taken token until a minute after it is full again. */
  readonly policies: readonly PolicyReport[];
}

/** One limit in a `ClientReport`. */
export interface PolicyReport {
  readonly policy: string;
  /** The configuration version that set the limit. */
  readonly configVersion: number;
  readonly algorithm: Algorithm;
  readonly tokensPerWindow: number;
  /** Of a calendar: the length of the running window. */
  readonly windowMs: number;
  /** Where the limit is no token bucket: `tokensPerWindow`. */
  readonly burst: number;
  readonly calendar?: Calendar;
  /** Whole tokens to take now. */
  readonly remaining: number;
  /** Tokens on live leases and reserved. A window or quota has counted them as used. */
  readonly outstanding: number;
  readonly leases: LeasesReport;
  readonly reservations: LeasesReport;
  /** How long until the bucket is full, or the window has forgotten all, if nothing more is taken; 0: it is so now. */
  readonly fullInMs: number;
  /** When tokens were last taken or given back, in ms since the epoch; of a `fixed-window`: when its window began. */
  readonly lastChangeAt: number;
}

/** What is lent or reserved of one limit. */
export interface LeasesReport {
  readonly count: number;
  readonly tokens: number;
  /** When the first of them ends by itself, in ms since the epoch; null: there is none. */
  readonly nextEndAt: number | null;
}

/** The longest that a cost may stay reserved; a request that takes longer has cost what was reserved. */
export const MAX_RESERVE_MS = 3_600_000;

/**
 * What is wrong with a take message, in words for a log, or undefined. By hand: a schema library costs more than the
 * decision that follows.
 */
export function takeProblem(message: Unchecked<TakeMessage>): string | undefined {
  if (message.v !== 1) return wanted("v", message.v, "1; deploy the Worker and its objects together");
  if (!isCount(message.configVersion)) return wanted("configVersion", message.configVersion, "an integer >= 0");
  if (!isText(message.client, MAX_ID_LENGTH)) return wanted("client", message.client, "1 to 64 characters");
  return itemsProblem(message.items, takeItemProblem);
}

/** What is wrong with a refund message, in words for a log, or undefined. */
export function refundProblem(message: Unchecked<RefundMessage>): string | undefined {
  if (message.v !== 1) return wanted("v", message.v, "1; deploy the Worker and its objects together");
  if (!isText(message.client, MAX_ID_LENGTH)) return wanted("client", message.client, "1 to 64 characters");
  if (!isText(message.isolate, MAX_ID_LENGTH)) return wanted("isolate", message.isolate, "1 to 64 characters");
  if (!isCount(message.seq)) return wanted("seq", message.seq, "an integer >= 0");
  if (message.takenAt !== undefined && !isCount(message.takenAt)) {
    return wanted("takenAt", message.takenAt, "an integer >= 0 or nothing");
  }
  return itemsProblem(message.items, costProblem);
}

function takeItemProblem(item: Unchecked<TakeItem>, at: string): string | undefined {
  const { reserveMs } = item;
  if (reserveMs === undefined) return limitProblem(item, at);
  if (!isCount(reserveMs) || reserveMs < 1 || reserveMs > MAX_RESERVE_MS) {
    return wanted(`${at}.reserveMs`, reserveMs, `an integer from 1 to ${MAX_RESERVE_MS}`);
  }
  return limitProblem(item, at);
}
