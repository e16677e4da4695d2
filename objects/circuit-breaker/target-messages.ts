import { isCount } from "../numbers.ts";
import { MAX_ID_LENGTH, isText, wanted, type Unchecked } from "../message-checks.ts";
import {
  replyProblem,
  reportProblem,
  VERSION_WANTED,
  type BreakerReply,
  type BreakerReport,
} from "./breaker-messages.ts";

/** How a target's health is checked; null where nobody asked for it. Its path and what is expected are the gateway's. */
export interface HealthTerms {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Checks in a row that change the verdict; see `HealthPolicy`. */
  readonly rise: number;
  readonly fall: number;
}

/** What every message says of the target whose owner it goes to. */
export interface TargetTerms {
  /** As the configuration writes its URL. */
  readonly target: string;
  /** One of the backends that it belongs to. */
  readonly backend: string;
  readonly health: HealthTerms | null;
}

/** What an owner knows of its target beside the breaker. Times are how long ago, since clocks differ. */
export interface TargetNews {
  /** Since when health checks call it down; null: they don't. */
  readonly downForMs: number | null;
  /** By an operator's order: it is to get no new client. */
  readonly isDraining: boolean;
  /** Since when they call it well again; null: it is down, or was never known to be. */
  readonly wellForMs: number | null;
}

/** A breaker's report. */
export type TargetReport = BreakerReport & TargetTerms;

/** The answer to a `TargetReport`. */
export type TargetReply = BreakerReply & { readonly news: TargetNews };

/** An isolate has use for news of a target of which it has nothing to report; keeps its health checks going. */
export interface WatchMessage extends TargetTerms {
  readonly v: 1;
  /** The version of the configuration that `health` comes from. */
  readonly configVersion: number;
  /** Names the sender for its life; a random id of at most 64 characters. */
  readonly isolate: string;
}

/** The answer to a `WatchMessage`. */
export interface WatchReply {
  readonly v: 1;
  readonly news: TargetNews;
  /** Isolates that watch. */
  readonly isolates: number;
  /** When to ask again: the more isolates, the later. */
  readonly pollMs: number;
}

const ORDERS = ["open", "close", "auto", "reset", "drain"] as const;

/**
 * What an operator orders: hold the breaker open or closed, `drain` (no new clients), `auto` (end all of that), or `reset`
 * (close, forget openings and health).
 */
export type OrderKind = (typeof ORDERS)[number];

/** An operator's order. */
export interface TargetOrder {
  readonly v: 1;
  /** As the configuration writes its URL. */
  readonly target: string;
  readonly kind: OrderKind;
  /** Who gives it, for the history; at most 64 characters. */
  readonly by?: string;
}

const MAX_URL_LENGTH = 8_192;
const MAX_NAME_LENGTH = 256;

/** What is wrong with a report, in words for a log, or undefined. */
export function targetReportProblem(report: Unchecked<TargetReport>): string | undefined {
  return reportProblem(report) ?? termsProblem(report);
}

/** What is wrong with the answer to a report, in words for a log, or undefined. */
export function targetReplyProblem(reply: Unchecked<TargetReply>): string | undefined {
  return replyProblem(reply) ?? newsProblem(reply.news);
}

/** What is wrong with the answer to a watch message, in words for a log, or undefined. */
export function watchReplyProblem({ v, isolates, pollMs, news }: Unchecked<WatchReply>): string | undefined {
  if (v !== 1) return wanted("v", v, VERSION_WANTED);
  if (!isCount(isolates)) return wanted("isolates", isolates, "an integer >= 0");
  if (!isCount(pollMs)) return wanted("pollMs", pollMs, "an integer >= 0");
  return newsProblem(news);
}

function newsProblem(news: unknown): string | undefined {
  if (typeof news !== "object" || news === null) return wanted("news", news, "an object");
  const { downForMs, wellForMs, isDraining }: Unchecked<TargetNews> = news;
  const isTime = (value: unknown) => value === null || isCount(value);
  if (isTime(downForMs) && isTime(wellForMs) && typeof isDraining === "boolean") return undefined;
  return wanted("news", news, "two times or null, and whether it drains");
}

/** What is wrong with a watch message, in words for a log, or undefined. */
export function watchProblem(message: Unchecked<WatchMessage>): string | undefined {
  const { v, configVersion, isolate } = message;
  if (v !== 1) return wanted("v", v, VERSION_WANTED);
  if (!isCount(configVersion)) return wanted("configVersion", configVersion, "an integer >= 0");
  if (!isText(isolate, MAX_ID_LENGTH)) return wanted("isolate", isolate, "1 to 64 characters");
  return termsProblem(message);
}

/** What is wrong with an order, in words for a log, or undefined. */
export function orderProblem({ v, target, kind, by }: Unchecked<TargetOrder>): string | undefined {
  if (v !== 1) return wanted("v", v, VERSION_WANTED);
  if (!ORDERS.some((order) => order === kind)) return wanted("kind", kind, `one of ${ORDERS.join(", ")}`);
  if (by !== undefined && !isText(by, MAX_ID_LENGTH)) return wanted("by", by, "1 to 64 characters");
  return targetProblem(target);
}

function termsProblem({ target, backend, health }: Unchecked<TargetTerms>): string | undefined {
  if (!isText(backend, MAX_NAME_LENGTH)) return wanted("backend", backend, `1 to ${MAX_NAME_LENGTH} characters`);
  return targetProblem(target) ?? healthProblem(health);
}

function targetProblem(target: unknown): string | undefined {
  if (isText(target, MAX_URL_LENGTH)) return undefined;
  return wanted("target", target, `a URL of at most ${MAX_URL_LENGTH} characters`);
}

function healthProblem(health: unknown): string | undefined {
  if (health === null) return undefined;
  if (!isTerms(health)) return wanted("health", health, "an object or null");
  for (const field of ["intervalMs", "timeoutMs", "rise", "fall"] as const) {
    if (!isCount(health[field]) || health[field] === 0) {
      return wanted(`health.${field}`, health[field], "an integer >= 1");
    }
  }
  return undefined;
}

function isTerms(health: unknown): health is Unchecked<HealthTerms> {
  return typeof health === "object" && health !== null;
}
