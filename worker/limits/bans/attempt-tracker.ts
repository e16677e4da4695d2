import type { ReportItem, ReportReply } from "../../../objects/rate-limiter/bans/abuse-messages.ts";
import {
  countAttempt,
  dueAt,
  isUrgent,
  newCounter,
  nextReport,
  reportAnswered,
  type AttemptCounter,
  type BanTerms,
} from "./attempt-counter.ts";

/** One client's attempts under limits with one owner, in one isolate. Changed in place. */
export interface AttemptTracker {
  /** In the order of the limits. */
  readonly counters: readonly AttemptCounter[];
  /** A refusal makes its isolate report for so long: the longest window. */
  readonly loudMs: number;
  /** When this isolate last refused the client. */
  refusedAt: number;
  /** Somebody sees to the reports, until this time at the latest. */
  reportedUntil: number;
}

/** The runtime ends what a request left running after 30 s; then the next request sees to the reports. */
const REPORTING_MS = 20_000;

/** @param isolate names the sender of its reports, and nobody else's. */
export function newTracker(terms: readonly BanTerms[], isolate: string): AttemptTracker {
  return {
    counters: terms.map((one) => newCounter(one, isolate)),
    loudMs: Math.max(...terms.map(({ windowMs }) => windowMs)),
    refusedAt: -Infinity,
    reportedUntil: -Infinity,
  };
}

/**
 * Notes one attempt, let through or refused alike, and says what whoever made it has to do: `watch` over the reports until
 * `reportedUntil`, send `one` now beside somebody who watches, or nothing.
 *
 * Nothing is reported while this isolate has not refused the client for a window: whoever stays below a limit costs no
 * call, and what goes unseen is no more than the limit lets through.
 *
 * @param costs in units, in the order of the limits; 0: the attempt does not count under that limit.
 */
export function trackAttempt(
  tracker: AttemptTracker,
  costs: readonly number[],
  isRefused: boolean,
  now: number,
): "watch" | "one" | undefined {
  const { counters, loudMs } = tracker;
  for (let index = 0; index < counters.length; index++) {
    const counter = counters[index];
    if (counter !== undefined) countAttempt(counter, costs[index] ?? 0, now);
  }
  if (isRefused) tracker.refusedAt = now;
  // After a step back of the clock the refusal is a new one at the latest when it comes.
  const isLoud = now >= tracker.refusedAt && now - tracker.refusedAt < loudMs;
  if (!isLoud) return undefined;
  // Whoever watches waits for a time that was known before: it can't be told of what has become urgent since.
  if (now < tracker.reportedUntil) return counters.some((counter) => isUrgent(counter, now)) ? "one" : undefined;
  tracker.reportedUntil = now + REPORTING_MS;
  return "watch";
}

/** When to report or to send a report again, in ms since the epoch; undefined: there is nothing to tell. */
export function trackerDueAt({ counters }: AttemptTracker, now: number): number | undefined {
  let due = Infinity;
  for (const counter of counters) due = Math.min(due, dueAt(counter, now) ?? Infinity);
  return due === Infinity ? undefined : due;
}

/** What to report now under all limits: what is new, and what was not answered in time as it was. */
export function nextReports({ counters }: AttemptTracker, now: number): readonly ReportItem[] {
  return counters.flatMap((counter) => {
    const report = nextReport(counter, now);
    return report === undefined ? [] : [{ ...counter.terms, report }];
  });
}

/** Takes in the answer to these reports. */
export function reportsAnswered({ counters }: AttemptTracker, sent: readonly ReportItem[], reply: ReportReply): void {
  for (const [index, { policy, report }] of sent.entries()) {
    const told = reply.items[index];
    const counter = counters.find(({ terms }) => terms.policy === policy);
    if (counter !== undefined && told?.policy === policy) reportAnswered(counter, report.seq, told);
  }
}
