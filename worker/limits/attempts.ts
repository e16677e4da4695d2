import type { ObjectAddress } from "../../objects/address.ts";
import { createLru } from "../../objects/lru.ts";
import type { ReportItem, ReportMessage, ReportReply } from "../../objects/rate-limiter/abuse-messages.ts";
import type { Exchange } from "../exchange.ts";
import {
  ANSWER_MS,
  countAttempt,
  dueAt,
  isUrgent,
  newCounter,
  nextReport,
  reportAnswered,
  type AttemptCounter,
  type BanTerms,
} from "./attempt-counter.ts";
import { isolateName } from "./lease-table.ts";
import { learnBan } from "./known-bans.ts";
import { callOwner, ownerOf } from "./owner.ts";

/** Limits of one identity that ban, as every client of theirs has them. */
export interface Watched {
  /** Names the limits and their numbers: a client under other terms is counted anew. */
  readonly signature: string;
  readonly terms: readonly BanTerms[];
  /** A refusal makes its isolate report for so long: the longest window. */
  readonly loudMs: number;
}

/** One client's attempts in this isolate. */
interface Tracker {
  readonly key: string;
  readonly address: ObjectAddress;
  readonly configVersion: number;
  /** In the order of the terms. */
  readonly counters: readonly AttemptCounter[];
  /** When this isolate last refused the client. */
  refusedAt: number;
  /** Somebody sees to the reports, until this time at the latest. */
  reportedUntil: number;
}

/** What a report needs of the request that makes it. */
type Caller = Pick<Exchange, "env" | "ctx" | "configVersion">;

/** Clients whose attempts are remembered at once; one that has to go is counted anew. */
const MAX_TRACKED = 1_000;
/** The runtime ends what a request left running after 30 s; then the next request sees to the reports. */
const REPORTING_MS = 20_000;
/** After a failed call. */
const PAUSE_MS = 250;

const trackers = createLru<string, Tracker>(MAX_TRACKED);
let made = 0;

/**
 * Notes one attempt of a client, let through or refused alike, and sees to it that its owner hears of it, off the
 * request's path.
 *
 * Nothing is reported while this isolate has not refused the client for a window: whoever stays below a limit costs no
 * call, and has made few attempts here (docs/design/bans.md says how many go unseen).
 *
 * @param costs in units, in the order of the terms; 0: the attempt does not count under that limit.
 */
export function noteAttempt(
  watched: Watched,
  address: ObjectAddress,
  caller: Caller,
  { costs, isRefused, now }: { readonly costs: readonly number[]; readonly isRefused: boolean; readonly now: number },
): void {
  const key = watched.signature + address.client;
  const tracker = trackers.get(key) ?? track(watched, key, address, caller);
  const { counters } = tracker;
  for (let index = 0; index < counters.length; index++) {
    const counter = counters[index];
    if (counter !== undefined) countAttempt(counter, costs[index] ?? 0, now);
  }
  if (isRefused) tracker.refusedAt = now;
  const isQuiet = now < tracker.refusedAt || now - tracker.refusedAt >= watched.loudMs;
  if (isQuiet || (now < tracker.reportedUntil && !counters.some(isUrgent))) return;
  tracker.reportedUntil = now + REPORTING_MS;
  caller.ctx.waitUntil(sendReports(tracker, caller.env, tracker.reportedUntil));
}

function track(watched: Watched, key: string, address: ObjectAddress, { configVersion }: Caller): Tracker {
  made += 1;
  // Of its own for each tracker: one that comes back after it had to go begins its numbers anew.
  const isolate = `${isolateName()}.${made}`;
  const counters = watched.terms.map((terms) => newCounter(terms, isolate));
  const tracker = { key, address, configVersion, counters, refusedAt: -Infinity, reportedUntil: 0 };
  trackers.set(key, tracker);
  return tracker;
}

/** Sends what is due, then and there, until there is nothing more to tell; at the end of its time all that is left. */
async function sendReports(tracker: Tracker, env: Env, until: number): Promise<void> {
  for (;;) {
    const now = Date.now();
    let due = Infinity;
    for (const counter of tracker.counters) due = Math.min(due, dueAt(counter, now) ?? Infinity);
    if (due === Infinity) break;
    if (now < due && now < until) {
      await scheduler.wait(Math.min(due, until) - now);
      continue;
    }
    const isHeard = await sendReport(tracker, env);
    if (now >= until) break;
    if (!isHeard) await scheduler.wait(PAUSE_MS);
  }
  tracker.reportedUntil = 0;
}

/** False: not sent, or not answered. What was sent is sent again as it was. */
async function sendReport(tracker: Tracker, env: Env): Promise<boolean> {
  const { address, configVersion, counters } = tracker;
  const askedAt = Date.now();
  const items: ReportItem[] = [];
  const sent: AttemptCounter[] = [];
  for (const counter of counters) {
    const report = nextReport(counter, askedAt);
    if (report === undefined) continue;
    items.push({ ...counter.terms, report });
    sent.push(counter);
  }
  if (items.length === 0) return false;
  const message: ReportMessage = { v: 1, configVersion, client: address.client, items };
  const call = (): Promise<ReportReply> => ownerOf(env, address).report(message);
  try {
    const reply = await callOwner(address, call, { deadlineMs: ANSWER_MS });
    for (const [index, counter] of sent.entries()) {
      const [told, item] = [reply.items[index], items[index]];
      if (told !== undefined && told.policy === item?.policy) reportAnswered(counter, item.report.seq, told);
    }
    learnBan(address.client, reply.ban, askedAt);
    // A ban forgives what led to it: what this isolate has not told yet is part of that.
    if (reply.ban !== undefined) trackers.delete(tracker.key);
    return true;
  } catch {
    return false;
  }
}
