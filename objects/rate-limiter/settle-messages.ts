import { isCount } from "../numbers.ts";
import { MAX_ID_LENGTH, MAX_POLICY_LENGTH, isText, itemsProblem, wanted, type Unchecked } from "../message-checks.ts";

/**
 * Says what a request cost for which a take reserved. Counts once for each reservation, and not after its end; a policy
 * of the reservation that is not listed cost what was reserved.
 */
export interface SettleMessage {
  readonly v: 1;
  readonly client: string;
  /** From the reply to the take. */
  readonly reservation: number;
  /** At most 32, each policy once. */
  readonly items: readonly SettleItem[];
}

/** What a request cost under one limit. */
export interface SettleItem {
  readonly policy: string;
  /** A safe integer >= 0, below or above what was reserved. */
  readonly actual: number;
  /**
   * How far beyond the limit the client may get by it. Absent: as much again as the burst (or the window's tokens).
   * A bucket's is cut to what can be counted exactly: (burst + debt) * windowMs of at most 2^53.
   */
  readonly debtMax?: number;
}

/** The answer to a `SettleMessage`. */
export interface SettleReply {
  readonly v: 1;
  /** False: settled before, ended, or never heard of; don't send it again. */
  readonly settled: boolean;
  /** The policies that had reserved, those not in the message too. */
  readonly items: readonly SettleReplyItem[];
}

/** One limit's part of a `SettleReply`. */
export interface SettleReplyItem {
  readonly policy: string;
  /** Tokens that were charged. */
  readonly charged: number;
  /** Tokens beyond the largest debt, which nobody pays; count them. */
  readonly forgiven: number;
  /** Whole tokens left; 0 in debt. */
  readonly remaining: number;
}

/** What is wrong with a settle message, in words for a log, or undefined. */
export function settleProblem(message: Unchecked<SettleMessage>): string | undefined {
  if (message.v !== 1) return wanted("v", message.v, "1; deploy the Worker and its objects together");
  if (!isText(message.client, MAX_ID_LENGTH)) return wanted("client", message.client, "1 to 64 characters");
  if (!isCount(message.reservation)) return wanted("reservation", message.reservation, "an integer >= 0");
  return itemsProblem(message.items, settleItemProblem);
}

function settleItemProblem(item: Unchecked<SettleItem>, at: string): string | undefined {
  const { policy, actual, debtMax } = item;
  if (!isText(policy, MAX_POLICY_LENGTH)) {
    return wanted(`${at}.policy`, policy, `1 to ${MAX_POLICY_LENGTH} characters`);
  }
  if (!isCount(actual)) return wanted(`${at}.actual`, actual, "an integer >= 0");
  if (debtMax === undefined || isCount(debtMax)) return undefined;
  return wanted(`${at}.debtMax`, debtMax, "an integer >= 0 or nothing");
}
