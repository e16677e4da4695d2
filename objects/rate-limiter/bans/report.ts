import type { AbuseRule, AttemptCount, AttemptReport } from "./attempts.ts";
import { abuseThreshold, partMs } from "./attempts.ts";

/** What an isolate knows of one client's attempts under one limit, let through or refused. */
export interface Reporter {
  readonly isolate: string;
  /** The number of the last report. */
  readonly seq: number;
  /** Not reported yet, oldest first; the newest time is the last. */
  readonly unreported: readonly Tally[];
  /** When the last new one was sent. */
  readonly sentAt: number;
  /** On its way, or to be sent again as it is. */
  readonly pending: AttemptReport | undefined;
  /** Attempts in the running window, as the owner last told. */
  readonly seen: number;
  /** Isolates that report on this client, as the owner last told (N_act). */
  readonly isolates: number;
}

/** Attempts counted as one: all within `partMs` of `at`. */
interface Tally {
  readonly at: number;
  readonly count: number;
}

/** Attempts are at most this old when they are reported. */
const FLUSH_MS = 1_000;
/**
 * Each report is a row that its owner writes. A client that keeps close below what bans it would cause one after the other:
 * so all isolates together send about 20 a second of each client at most.
 */
const GAP_MS = 50;
/** A report that has not arrived by now says nothing that still matters. */
const GIVE_UP_MS = 5_000;
/** An isolate that cannot reach the owner keeps the newest. A report of a second has at most 61 unless W < 1 s. */
const MAX_TALLIES = 128;

/** An isolate that has seen nothing of a client. */
export function newReporter(isolate: string): Reporter {
  return { isolate, seq: 0, unreported: [], sentAt: -Infinity, pending: undefined, seen: 0, isolates: 1 };
}

/**
 * Notes attempts made now. On a clock that stepped back, what was not reported is dropped: its age is not known any
 * more, and an attempt must never look younger than it is.
 */
export function note(reporter: Reporter, rule: AbuseRule, count: number, now: number): Reporter {
  const newest = reporter.unreported.at(-1);
  const tallies = newest !== undefined && now < newest.at ? [] : reporter.unreported;
  const last = tallies.at(-1);
  if (last !== undefined && now - last.at < partMs(rule)) {
    return { ...reporter, unreported: [...tallies.slice(0, -1), { at: last.at, count: last.count + count }] };
  }
  return { ...reporter, unreported: [...tallies, { at: now, count }].slice(-MAX_TALLIES) };
}

/**
 * When to report, in ms since the epoch; undefined: nothing to report, or a report is on its way. Any call to the
 * owner may carry it earlier.
 *
 * At once when what is unreported could, with as much at each of the other isolates, be a quarter of what is left
 * until the client is banned, and the last report was 50 ms ago for each isolate that reports; else 1 s after the first
 * unreported attempt. So reports get dense only where a ban is near, and one is detected at the latest 1 s and one round
 * trip after it is due.
 */
export function reportAt(reporter: Reporter, rule: AbuseRule, now: number): number | undefined {
  const [first] = reporter.unreported;
  const threshold = abuseThreshold(rule);
  if (first === undefined || reporter.pending !== undefined || threshold === Infinity) return undefined;
  const unreported = reporter.unreported.reduce((sum, { count }) => sum + count, 0);
  const latest = first.at + FLUSH_MS;
  if (unreported < Math.max(1, (threshold - reporter.seen) / (4 * reporter.isolates))) return latest;
  return Math.max(now, Math.min(latest, denseFrom(reporter)));
}

/** From when on a report may be sent before its second is over, in ms since the epoch. */
export function denseFrom({ sentAt, isolates }: Reporter): number {
  return sentAt + GAP_MS * isolates;
}

/** Makes the report to send now. The caller says how it went: `told`, or `failed`. */
export function takeReport(
  reporter: Reporter,
  now: number,
): { readonly reporter: Reporter; readonly report: AttemptReport } {
  const counts = reporter.unreported.map(({ at, count }): AttemptCount => ({ ageMs: Math.max(0, now - at), count }));
  const report = { isolate: reporter.isolate, seq: reporter.seq + 1, sentAt: now, counts };
  return { reporter: { ...reporter, seq: report.seq, unreported: [], sentAt: now, pending: report }, report };
}

/** The owner has answered the report with this `seq`. */
export function told(
  reporter: Reporter,
  seq: number,
  reply: { readonly attempts: number; readonly isolates: number },
): Reporter {
  const { attempts: seen, isolates } = reply;
  return reporter.pending?.seq === seq ? { ...reporter, pending: undefined, seen, isolates } : reporter;
}

/**
 * The pending report was lost, or only its answer: it is sent again just as it was, which counts once. Undefined after
 * 5 s: then it is given up, and attempts are lost rather than counted twice.
 */
export function failed(
  reporter: Reporter,
  now: number,
): { readonly reporter: Reporter; readonly report: AttemptReport | undefined } {
  const { pending } = reporter;
  if (pending !== undefined && now - pending.sentAt < GIVE_UP_MS) return { reporter, report: pending };
  return { reporter: { ...reporter, pending: undefined }, report: undefined };
}
