import type { ReplayWindow } from "../replay-window.ts";
import { countOnce } from "../replay-window.ts";
import type { Grid, SubBucket } from "../algorithms/sub-buckets.ts";
import { addTo, dropBefore, gridOf, indexAt, total } from "../algorithms/sub-buckets.ts";

/** What counts as abuse of one limit. */
export interface AbuseRule {
  /** The limit's tokens in one window (L). Below 10 nobody is ever banned: one reload of a page would do it. */
  readonly tokensPerWindow: number;
  readonly windowMs: number;
  /** How many times the limit must be attempted within one window; 5 by default. */
  readonly factor?: number;
}

/** What an isolate reports of one client under one limit: what it let through and what it refused, alike. */
export interface AttemptReport {
  /** Names the isolate for its life; a random id made with it. */
  readonly isolate: string;
  /** Differs in each report of this isolate under this limit, and rises. A repeated report has the same. */
  readonly seq: number;
  /** When it was first sent, by the isolate's clock, in ms since the epoch. */
  readonly sentAt: number;
  readonly counts: readonly AttemptCount[];
}

/** Attempts made within one part of the window (see `partMs`), the first of them `ageMs` before `sentAt`. */
export interface AttemptCount {
  readonly ageMs: number;
  readonly count: number;
}

/** What the owner remembers of one client's attempts under one limit. */
export interface Attempts {
  readonly buckets: readonly SubBucket[];
  /** Which reports were counted. */
  readonly senders: readonly ReplayWindow[];
  /** Attempts from before count no more: a ban has answered them, or an operator has forgiven them. */
  readonly since: number;
  /** Milliseconds since the epoch, by the owner's clock. */
  readonly last: number;
}

const DEFAULT_FACTOR = 5;
const MIN_LIMIT = 10;
const PARTS = 60;
/** How late a report may be and still complete a window that has passed: the 1 s of its isolate, and 1 s of network. */
const LATE_MS = 2_000;
/**
 * An older report is ignored. Senders are remembered for 30 s, so no repetition of a report outlives the memory of
 * it, be the isolate's clock up to 20 s ahead.
 */
const MAX_REPORT_AGE_MS = 10_000;
/** A report from further in the future comes from a clock that cannot be believed. */
const MAX_AHEAD_MS = 5_000;
/** Isolates heard of in this time share what is left until the factor is reached. */
const ACTIVE_MS = 2_000;

/** A client of which no attempts are known; those from before `since` will not count. */
export function noAttempts(since: number, now: number): Attempts {
  return { buckets: [], senders: [], since, last: now };
}

/** How many attempts within one window are abuse; Infinity: never. */
export function abuseThreshold({ tokensPerWindow, factor = DEFAULT_FACTOR }: AbuseRule): number {
  return tokensPerWindow < MIN_LIMIT ? Infinity : Math.ceil(tokensPerWindow * factor);
}

/** How long the attempts that an isolate counts as one may lie apart, in ms: 1/60 of the window, at least 1. */
export function partMs({ windowMs }: AbuseRule): number {
  return Math.max(1, Math.floor(windowMs / PARTS));
}

/**
 * Counts a report once, however often it arrives.
 *
 * Never counts an attempt as younger than it was, unless the isolate's clock is ahead: then by what it is ahead, or
 * by the report's time on the way where that is less. A clock of the owner that stepped back forgets everything, since
 * what was counted before could coincide with what comes.
 */
export function countReport(attempts: Attempts, rule: AbuseRule, report: AttemptReport, now: number): Attempts {
  const advanced = advance(attempts, rule, now);
  if (now - report.sentAt > MAX_REPORT_AGE_MS || report.sentAt - now > MAX_AHEAD_MS) return advanced;
  const senders = countOnce(advanced.senders, report.isolate, report.seq, now);
  if (senders === undefined) return advanced;
  const grid = gridFor(rule);
  let { buckets } = advanced;
  for (const { ageMs, count } of report.counts) {
    const at = Math.min(now, report.sentAt) - ageMs;
    if (at >= advanced.since) buckets = addTo(buckets, indexAt(grid, at), count);
  }
  return { ...advanced, senders, buckets: dropBefore(buckets, oldest(grid, now)) };
}

/**
 * Whether there was a window of `windowMs` with so many attempts that it is abuse.
 *
 * Only what surely lies within one window is added up: 59 parts, since attempts counted as one may reach a part
 * further. So nobody is taken for an abuser who was none; who attempts as much within 57/60 of a window surely is.
 */
export function isAbuse({ buckets }: Attempts, rule: AbuseRule): boolean {
  const threshold = abuseThreshold(rule);
  const parts = gridFor(rule).perWindow - 1;
  let first = 0;
  let sum = 0;
  for (const { index, count } of buckets) {
    sum += count;
    for (let old = buckets[first]; old !== undefined && old.index <= index - parts; old = buckets[first]) {
      sum -= old.count;
      first += 1;
    }
    if (sum >= threshold) return true;
  }
  return false;
}

/** Starts anew from `since`: attempts made before never count, also when their reports are still on their way. */
export function forgetBefore(attempts: Attempts, since: number): Attempts {
  return { ...attempts, buckets: [], since };
}

/** What to tell the isolate that reported, so that it knows when to report again. */
export function attemptsReply(
  attempts: Attempts,
  rule: AbuseRule,
): { readonly attempts: number; readonly isolates: number } {
  const grid = gridFor(rule);
  const buckets = dropBefore(attempts.buckets, indexAt(grid, attempts.last) - grid.perWindow);
  const isolates = attempts.senders.filter(({ at }) => attempts.last - at <= ACTIVE_MS).length;
  return { attempts: total(buckets), isolates: Math.max(1, isolates) };
}

/** When attempts left alone no longer matter, in ms since the epoch: none counts any more, nor would their repetition. */
export function forgettableAt(attempts: Attempts, rule: AbuseRule): number {
  // A late report may still complete the window before this one; senders must outlive the repetition of their reports.
  const keepMs = Math.max(2 * rule.windowMs, 30_000);
  const isEmpty = attempts.buckets.length === 0 && attempts.senders.length === 0;
  return Math.max(isEmpty ? attempts.last : attempts.last + keepMs, attempts.since + keepMs);
}

function advance(attempts: Attempts, rule: AbuseRule, now: number): Attempts {
  if (now < attempts.last) return { ...attempts, buckets: [], since: Math.max(now, attempts.since), last: now };
  return { ...attempts, buckets: dropBefore(attempts.buckets, oldest(gridFor(rule), now)), last: now };
}

/** The first part kept: a window, and what late reports may still complete, which is at most three more. */
function oldest(grid: Grid, now: number): number {
  const late = Math.min(Math.ceil((LATE_MS * grid.perWindow) / grid.windowMs), 3 * grid.perWindow);
  return indexAt(grid, now) - grid.perWindow - late;
}

function gridFor({ windowMs }: AbuseRule): Grid {
  return gridOf(windowMs, PARTS);
}
