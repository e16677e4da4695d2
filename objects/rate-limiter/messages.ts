import { isExact } from "./token-bucket.ts";

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
  /** At most 32, each policy once. */
  readonly items: readonly TakeItem[];
}

/** One limit in a `TakeMessage`. `burst * windowMs` is at most 2^53. */
export interface TakeItem {
  /** The policy's id; what survives when its numbers change. */
  readonly policy: string;
  readonly tokensPerWindow: number;
  readonly windowMs: number;
  readonly burst: number;
  /** 0 looks without taking. */
  readonly cost: number;
  /** Decided and reported, never in the way of the request. */
  readonly shadow: boolean;
}

/** The answer to a `TakeMessage`. */
export interface TakeReply {
  readonly v: 1;
  /** Every item that is not `shadow` had its tokens, and they are taken. */
  readonly allowed: boolean;
  /** In the order of the message. */
  readonly items: readonly TakeReplyItem[];
}

/** One limit's own verdict; the request may still have been refused for another's sake. */
export interface TakeReplyItem {
  readonly policy: string;
  readonly allowed: boolean;
  /** Whole tokens left after the decision. */
  readonly remaining: number;
  /** 0 when allowed; else the shortest wait that helps; null: never, the cost exceeds the burst. */
  readonly retryAfterMs: number | null;
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
  readonly tokensPerWindow: number;
  readonly windowMs: number;
  readonly burst: number;
  /** Whole tokens to take now. */
  readonly remaining: number;
  /** Tokens on live leases. */
  readonly outstanding: number;
  /** How long until the bucket is full if nothing more is taken; 0: full. */
  readonly fullInMs: number;
  /** When tokens were last taken or given back, in ms since the epoch. */
  readonly lastChangeAt: number;
}

/** A message as it may really look when it comes from a Worker of another version. */
export type Unchecked<Message> = { readonly [Field in keyof Message]?: unknown };

const MAX_ITEMS = 32;
const MAX_POLICY_LENGTH = 256;
const MAX_ID_LENGTH = 64;

/**
 * What is wrong with a take message, in words for a log, or undefined. By hand: a schema library costs more than the
 * decision that follows.
 */
export function takeProblem(message: Unchecked<TakeMessage>): string | undefined {
  if (message.v !== 1) return wanted("v", message.v, "1; deploy the Worker and its objects together");
  if (!isCount(message.configVersion)) return wanted("configVersion", message.configVersion, "an integer >= 0");
  if (!isText(message.client, MAX_ID_LENGTH)) return wanted("client", message.client, "1 to 64 characters");
  return itemsProblem(message.items, limitProblem);
}

/** What is wrong with a refund message, in words for a log, or undefined. */
export function refundProblem(message: Unchecked<RefundMessage>): string | undefined {
  if (message.v !== 1) return wanted("v", message.v, "1; deploy the Worker and its objects together");
  if (!isText(message.client, MAX_ID_LENGTH)) return wanted("client", message.client, "1 to 64 characters");
  if (!isText(message.isolate, MAX_ID_LENGTH)) return wanted("isolate", message.isolate, "1 to 64 characters");
  if (!isCount(message.seq)) return wanted("seq", message.seq, "an integer >= 0");
  return itemsProblem(message.items, refundItemProblem);
}

/** What is wrong with the items of any message, each judged by `problemOf`. */
export function itemsProblem(
  items: unknown,
  problemOf: (item: object, at: string) => string | undefined,
): string | undefined {
  if (!Array.isArray(items)) return wanted("items", items, "a list");
  if (items.length > MAX_ITEMS) return wanted("items.length", items.length, `at most ${MAX_ITEMS}`);
  const list: readonly unknown[] = items;
  const seen: unknown[] = [];
  for (const item of list) {
    const at = `items[${seen.length}]`;
    if (typeof item !== "object" || item === null) return wanted(at, item, "an object");
    const problem = problemOf(item, at);
    if (problem !== undefined) return problem;
    const policy = "policy" in item ? item.policy : undefined;
    // Two items of one policy would both be decided against the same tokens.
    if (seen.includes(policy)) return wanted(`${at}.policy`, policy, "each policy once; add the costs up");
    seen.push(policy);
  }
  return undefined;
}

/** What is wrong with an item that names a limit and a cost. */
export function limitProblem(item: Unchecked<TakeItem>, at: string): string | undefined {
  const { tokensPerWindow, windowMs, burst } = item;
  if (!isCount(tokensPerWindow) || tokensPerWindow < 1) {
    return wanted(`${at}.tokensPerWindow`, tokensPerWindow, "an integer >= 1");
  }
  if (!isCount(windowMs) || windowMs < 1) return wanted(`${at}.windowMs`, windowMs, "an integer >= 1");
  if (!isCount(burst) || burst < 1) return wanted(`${at}.burst`, burst, "an integer >= 1");
  if (!isExact(burst, windowMs)) {
    return wanted(`${at}.burst`, burst, "burst * windowMs of at most 2^53; shorten the window or the burst");
  }
  if (typeof item.shadow !== "boolean") return wanted(`${at}.shadow`, item.shadow, "true or false");
  return refundItemProblem(item, at);
}

function refundItemProblem(item: Unchecked<RefundItem>, at: string): string | undefined {
  if (!isText(item.policy, MAX_POLICY_LENGTH)) {
    return wanted(`${at}.policy`, item.policy, `1 to ${MAX_POLICY_LENGTH} characters`);
  }
  if (!isCount(item.cost)) return wanted(`${at}.cost`, item.cost, "an integer >= 0");
  return undefined;
}

/** Whether a value is a safe integer >= 0. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** Whether a value is a text of 1 to `maxLength` characters. */
export function isText(value: unknown, maxLength: number): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= maxLength;
}

/** The words for one field that is wrong. */
export function wanted(path: string, got: unknown, want: string): string {
  const shown = typeof got === "object" && got !== null ? "an object" : String(got).slice(0, 80);
  return `${path}: got ${shown}, wanted ${want}`;
}
