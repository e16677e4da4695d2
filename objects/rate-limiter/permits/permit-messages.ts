import { isCount } from "../../numbers.ts";
import { isText, itemsProblem, wanted, type Unchecked } from "../../message-checks.ts";
import type { OwnerNotices } from "../messages.ts";
import type { PermitAsk, PermitLimit, PermitReply } from "./permits.ts";

/**
 * What an isolate says to the owner of a client and what it hears back about operations in flight. The rules of
 * `messages.ts` hold: unknown fields are ignored, `v` rises only when that cannot be had.
 */
export interface PermitMessage {
  readonly v: 1;
  /** The configuration that the limits come from. A lower version than the recorded one never changes a limit. */
  readonly configVersion: number;
  /** The client's handle: the row inside the object. */
  readonly client: string;
  /** At most 32, each policy once. Each is answered by itself: a permit too many is given back for nothing. */
  readonly items: readonly PermitItem[];
}

/** One limit in a `PermitMessage`, and what is asked under it. */
export interface PermitItem extends PermitLimit {
  readonly policy: string;
  readonly ask: PermitAsk;
}

/** The answer to a `PermitMessage`. */
export interface PermitMessageReply extends OwnerNotices {
  readonly v: 1;
  /** In the order of the message. */
  readonly items: readonly PermitReplyItem[];
}

/** One limit's part of a `PermitMessageReply`. */
export interface PermitReplyItem {
  readonly policy: string;
  /** Null: the question was heard before, or after a later one, and counts for nothing. */
  readonly reply: PermitReply | null;
}

/** Bounds on what a message can do to a row: nothing lives longer in it than their sum. */
export const MAX_LEASE_MS = 60_000;
export const MAX_OPERATION_MS = 600_000;

/** What is wrong with a permit message, in words for a log, or undefined. */
export function permitProblem(message: Unchecked<PermitMessage>): string | undefined {
  if (message.v !== 1) return wanted("v", message.v, "1; deploy the Worker and its objects together");
  if (!isCount(message.configVersion)) return wanted("configVersion", message.configVersion, "an integer >= 0");
  if (!isText(message.client, 64)) return wanted("client", message.client, "1 to 64 characters");
  return itemsProblem(message.items, itemProblem);
}

function itemProblem(item: Unchecked<PermitItem>, at: string): string | undefined {
  const { permits, leaseMs, operationTimeoutMs, ask } = item;
  if (!isText(item.policy, 256)) return wanted(`${at}.policy`, item.policy, "1 to 256 characters");
  if (!isCount(permits) || permits < 1) return wanted(`${at}.permits`, permits, "an integer >= 1");
  if (!isCount(leaseMs) || leaseMs < 1 || leaseMs > MAX_LEASE_MS) {
    return wanted(`${at}.leaseMs`, leaseMs, `an integer from 1 to ${MAX_LEASE_MS}`);
  }
  if (!isCount(operationTimeoutMs) || operationTimeoutMs < 1 || operationTimeoutMs > MAX_OPERATION_MS) {
    return wanted(`${at}.operationTimeoutMs`, operationTimeoutMs, `an integer from 1 to ${MAX_OPERATION_MS}`);
  }
  if (typeof ask !== "object" || ask === null) return wanted(`${at}.ask`, ask, "an object");
  return askProblem(ask, `${at}.ask`);
}

function askProblem(ask: Unchecked<PermitAsk>, at: string): string | undefined {
  if (!isText(ask.id, 64)) return wanted(`${at}.id`, ask.id, "1 to 64 characters");
  for (const field of ["seq", "keep", "want"] as const) {
    if (!isCount(ask[field])) return wanted(`${at}.${field}`, ask[field], "an integer >= 0");
  }
  return undefined;
}
