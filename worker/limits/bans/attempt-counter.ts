import type { ReportItem } from "../../../objects/rate-limiter/bans/abuse-messages.ts";
import { abuseThreshold, partMs, type AttemptReport } from "../../../objects/rate-limiter/bans/attempts.ts";
import {
  denseFrom,
  failed,
  newReporter,
  note,
  reportAt,
  takeReport,
  told,
  type Reporter,
} from "../../../objects/rate-limiter/bans/report.ts";
import type { BanPolicy, RateLimit } from "../../../schemas/index.ts";

/** A limit whose abuse is answered by a ban, as reports state it. */
export type BanTerms = Omit<ReportItem, "report">;

/**
 * One client's attempts under one limit, in this isolate. Changed in place, because every request passes here: attempts
 * within a sixtieth of the window are one number, and only the next sixtieth costs more than adding to it.
 */
export interface AttemptCounter {
  readonly terms: BanTerms;
  readonly threshold: number;
  readonly partMs: number;
  /** The most that one attempt counts, so that no few of them are abuse, whatever they cost. */
  readonly maxWeight: number;
  reporter: Reporter;
  /** Attempts since `openAt` that the reporter has not been told of. */
  openCount: number;
  openAt: number;
  /** Everything that was not reported yet. */
  unreported: number;
}

/** How long an answer to a report may take; after that it is sent again. */
export const ANSWER_MS = 1_000;
/** A ban takes at least this many times the factor of attempts, as with the smallest limit that bans. */
const MIN_ATTEMPTS = 10;

/** What reports say of a limit; undefined when nobody can be banned under it. */
export function banTerms(limit: RateLimit): BanTerms | undefined {
  // A limit in shadow mode has no consequences, and one of requests in flight has no window to count in.
  if (limit.ban === undefined || limit.shadow || limit.algorithm === "concurrency") return undefined;
  const { factor, durationsMs, rememberMs }: BanPolicy = limit.ban;
  const tokensPerWindow = limit.requestsPerWindow * limit.unitsPerToken;
  const { id: policy, windowMs } = limit;
  if (abuseThreshold({ tokensPerWindow, windowMs, factor }) === Infinity) return undefined;
  return { policy, tokensPerWindow, windowMs, ban: { factor, durationsMs, rememberMs } };
}

/** @param isolate names the sender of its reports, and nobody else's. */
export function newCounter(terms: BanTerms, isolate: string): AttemptCounter {
  const rule = ruleOf(terms);
  return {
    terms,
    threshold: abuseThreshold(rule),
    partMs: partMs(rule),
    maxWeight: Math.max(1, Math.floor(terms.tokensPerWindow / MIN_ATTEMPTS)),
    reporter: newReporter(isolate),
    openCount: 0,
    openAt: 0,
    unreported: 0,
  };
}

/** Notes one attempt. @param cost in units; it counts at most a tenth of the limit. */
export function countAttempt(counter: AttemptCounter, cost: number, now: number): void {
  const weight = Math.min(cost, counter.maxWeight);
  if (weight === 0) return;
  const isOpen = counter.openCount > 0 && now >= counter.openAt && now - counter.openAt < counter.partMs;
  if (!isOpen) {
    fold(counter);
    // A part that was looked at before it was over goes on, else it would come to hold more time than a part.
    const last = counter.reporter.unreported.at(-1)?.at ?? -Infinity;
    counter.openAt = now >= last && now - last < counter.partMs ? last : now;
  }
  counter.openCount += weight;
  counter.unreported += weight;
}

/**
 * Whether to report at once: with as much at each other isolate, what is unreported could be a quarter of what is left
 * until a ban. The same rule as `reportAt`, without a look at each figure.
 */
export function isUrgent({ reporter, unreported, threshold }: AttemptCounter, now: number): boolean {
  if (unreported === 0 || reporter.pending !== undefined || now < denseFrom(reporter)) return false;
  return unreported >= Math.max(1, (threshold - reporter.seen) / (4 * reporter.isolates));
}

/** When to report or to send a report again, in ms since the epoch; undefined: there is nothing to tell. */
export function dueAt(counter: AttemptCounter, now: number): number | undefined {
  const { pending } = counter.reporter;
  if (pending !== undefined) return pending.sentAt + ANSWER_MS;
  fold(counter);
  return reportAt(counter.reporter, ruleOf(counter.terms), now);
}

/** The report to send now: a new one, or the pending one as it was when it was not answered. Undefined: nothing. */
export function nextReport(counter: AttemptCounter, now: number): AttemptReport | undefined {
  const { pending } = counter.reporter;
  if (pending !== undefined && Math.abs(now - pending.sentAt) < ANSWER_MS) return undefined;
  if (pending !== undefined) {
    const again = failed(counter.reporter, now);
    counter.reporter = again.reporter;
    if (again.report !== undefined) return again.report;
  }
  fold(counter);
  if (counter.reporter.unreported.length === 0) return undefined;
  const taken = takeReport(counter.reporter, now);
  counter.reporter = taken.reporter;
  counter.unreported = 0;
  return taken.report;
}

/** Takes in what the owner answered. */
export function reportAnswered(
  counter: AttemptCounter,
  seq: number,
  reply: { readonly attempts: number; readonly isolates: number },
): void {
  counter.reporter = told(counter.reporter, seq, reply);
}

function fold(counter: AttemptCounter): void {
  if (counter.openCount === 0) return;
  counter.reporter = note(counter.reporter, ruleOf(counter.terms), counter.openCount, counter.openAt);
  counter.openCount = 0;
}

function ruleOf({ tokensPerWindow, windowMs, ban }: BanTerms) {
  return { tokensPerWindow, windowMs, factor: ban.factor };
}
