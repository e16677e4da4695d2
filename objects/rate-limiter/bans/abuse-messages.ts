import { isCount } from "../../numbers.ts";
import type { AttemptReport } from "./attempts.ts";
import type { BanRule } from "./bans.ts";
import {
  MAX_ID_LENGTH,
  MAX_POLICY_LENGTH,
  isText,
  itemsProblem,
  wanted,
  type Unchecked,
} from "../../message-checks.ts";
import type { OwnerNotices } from "../messages.ts";

/**
 * Tells a client's owner of attempts that an isolate has seen, off the request's path. The rules of `messages.ts` hold:
 * unknown fields are ignored, `v` rises only when that cannot be had.
 */
export interface ReportMessage {
  readonly v: 1;
  readonly configVersion: number;
  /** The client's handle: the row inside the object. */
  readonly client: string;
  /** At most 32, each policy once. None: only asks whether the client is banned. */
  readonly items: readonly ReportItem[];
}

/** One limit in a `ReportMessage`, and what counts as its abuse. */
export interface ReportItem {
  readonly policy: string;
  readonly tokensPerWindow: number;
  readonly windowMs: number;
  readonly ban: ReportedBanRule;
  readonly report: AttemptReport;
}

/** How often the limit must be attempted within one window, and how long that is answered. */
export interface ReportedBanRule extends BanRule {
  readonly factor: number;
}

/** The answer to a `ReportMessage`: how the client stands, so that the isolate knows when to report again. */
export interface ReportReply extends OwnerNotices {
  readonly v: 1;
  /** In the order of the message. */
  readonly items: readonly ReportReplyItem[];
}

/** One limit in a `ReportReply`. */
export interface ReportReplyItem {
  readonly policy: string;
  /** Attempts known within the running window, fleet-wide. */
  readonly attempts: number;
  /** Isolates that reported within the last 2 s. */
  readonly isolates: number;
}

/** An operator's order to ban a client. */
export interface BanOrder {
  /** From 1 ms. */
  readonly durationMs: number;
  /** For people; cut to 200 characters. */
  readonly reason: string;
}

/** A ban in force, for an operator. */
export interface BanView {
  /** Milliseconds since the epoch, by the owner's clock. */
  readonly since: number;
  readonly until: number;
  readonly remainingMs: number;
  readonly reason: string;
}

/** More figures than an isolate ever reports at once. */
const MAX_COUNTS = 256;
const MAX_RUNGS = 16;

/** What is wrong with a report message, in words for a log, or undefined. */
export function reportProblem(message: Unchecked<ReportMessage>): string | undefined {
  if (message.v !== 1) return wanted("v", message.v, "1; deploy the Worker and its objects together");
  if (!isCount(message.configVersion)) return wanted("configVersion", message.configVersion, "an integer >= 0");
  if (!isText(message.client, MAX_ID_LENGTH)) return wanted("client", message.client, "1 to 64 characters");
  return itemsProblem(message.items, reportItemProblem);
}

/** What is wrong with a ban order, in words for a log, or undefined. */
export function banOrderProblem({ durationMs, reason }: Unchecked<BanOrder>): string | undefined {
  if (!isCount(durationMs) || durationMs < 1) return wanted("durationMs", durationMs, "an integer >= 1");
  return typeof reason === "string" ? undefined : wanted("reason", reason, "a text");
}

function reportItemProblem(item: Unchecked<ReportItem>, at: string): string | undefined {
  if (!isText(item.policy, MAX_POLICY_LENGTH)) {
    return wanted(`${at}.policy`, item.policy, `1 to ${MAX_POLICY_LENGTH} characters`);
  }
  for (const field of ["tokensPerWindow", "windowMs"] as const) {
    const value = item[field];
    if (!isCount(value) || value < 1) return wanted(`${at}.${field}`, value, "an integer >= 1");
  }
  return ruleProblem(item.ban, `${at}.ban`) ?? attemptsProblem(item.report, `${at}.report`);
}

function ruleProblem(ban: unknown, at: string): string | undefined {
  if (typeof ban !== "object" || ban === null) return wanted(at, ban, "factor, durationsMs and rememberMs");
  const { factor, durationsMs, rememberMs }: Unchecked<ReportedBanRule> = ban;
  if (!(Number.isFinite(factor) && Number(factor) > 1)) return wanted(`${at}.factor`, factor, "a number > 1");
  const isLadder = Array.isArray(durationsMs) && durationsMs.length > 0 && durationsMs.length <= MAX_RUNGS;
  if (!isLadder || !durationsMs.every((ms) => isCount(ms) && ms > 0)) {
    return wanted(`${at}.durationsMs`, durationsMs, `1 to ${MAX_RUNGS} integers >= 1`);
  }
  return isCount(rememberMs) ? undefined : wanted(`${at}.rememberMs`, rememberMs, "an integer >= 0");
}

function attemptsProblem(report: unknown, at: string): string | undefined {
  if (typeof report !== "object" || report === null) return wanted(at, report, "isolate, seq, sentAt and counts");
  const { isolate, seq, sentAt, counts }: Unchecked<AttemptReport> = report;
  if (!isText(isolate, MAX_ID_LENGTH)) return wanted(`${at}.isolate`, isolate, "1 to 64 characters");
  if (!isCount(seq)) return wanted(`${at}.seq`, seq, "an integer >= 0");
  if (!isCount(sentAt)) return wanted(`${at}.sentAt`, sentAt, "an integer >= 0");
  if (Array.isArray(counts) && counts.length <= MAX_COUNTS && counts.every(isAttemptCount)) return undefined;
  return wanted(`${at}.counts`, counts, `at most ${MAX_COUNTS} of ageMs and count, integers >= 0`);
}

function isAttemptCount(entry: unknown): boolean {
  if (typeof entry !== "object" || entry === null) return false;
  return "ageMs" in entry && isCount(entry.ageMs) && "count" in entry && isCount(entry.count);
}
