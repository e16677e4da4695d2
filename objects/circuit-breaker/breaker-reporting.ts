import type { BreakerReply, BreakerReport } from "./breaker-messages.ts";
import { BREAKER_RULES, type BreakerRules } from "./breaker-rules.ts";
import type { BreakerView, UnheardProbe } from "./breaker-view.ts";
import { NOTHING, countOutcomes, emptyWindow } from "./outcome-window.ts";
import type { ProbeResult } from "./probe-permits.ts";
import { forgetOutcomes } from "./recent-outcomes.ts";

/** A call that isn't answered by then is taken for lost; whoever sends should not wait longer either. */
const ANSWER_MS = 1_000;
/** After a question that failed. */
const ASK_PAUSE_MS = 300;
/** Longer than any owner waits for a probe. */
const PROBE_MEMORY_MS = 60_000;
const MAX_PROBES = 32;
/** One may come before anyone else has noticed, so that the next would tell of the opening. */
const HURRIES = 2;

/**
 * The report that is due, or undefined; to be sent off the request's path. Its reply goes to `heard`, its failure to `failed`.
 * Ask after each admission and each `settle`, and once more at `wakeAt`.
 */
export function dueReport(view: BreakerView, now: number): BreakerReport | undefined {
  if (view.permit !== undefined && now >= view.permit.startsUntil) returnPermit(view, now);
  return now >= nextReportAt(view, now) ? compose(view, false, now) : undefined;
}

/** When the next report is due, if nothing happens before; Infinity: not at all. */
export function nextReportAt(view: BreakerView, now: number): number {
  if (isAwaiting(view, now)) return Infinity;
  if (view.probes.length > 0) return view.askAt;
  if (view.permit !== undefined) return view.permit.startsUntil;
  const hasNews = view.isUsed || view.unreported.parts.length > 0 || now < view.localUntil || view.kind !== "closed";
  // Half-open, requests ask for themselves.
  if (view.kind === "half-open" || (view.kind === "open" && now >= view.until)) return Infinity;
  return hasNews || view.epoch === 0 ? Math.min(view.reportAt, view.hurryAt) : Infinity;
}

/**
 * When to see to a report though no request comes; Infinity: not before one does. Outcomes, suspicions and permits are somebody's
 * business even then; whether the state is still the same is only a request's.
 */
export function wakeAt(view: BreakerView, now: number): number {
  const { probes, permit, unreported, kind, localUntil } = view;
  const isClosed = kind === "closed" && (unreported.parts.length > 0 || now < localUntil);
  return isClosed || probes.length > 0 || permit !== undefined ? nextReportAt(view, now) : Infinity;
}

/** The report of a request that waits for a permit. */
export function askForPermit(view: BreakerView, now: number): BreakerReport {
  return compose(view, true, now);
}

/** Whether a reply may still come. */
export function isAwaiting({ awaited, awaitedSince }: BreakerView, now: number): boolean {
  return awaited !== 0 && Math.abs(now - awaitedSince) < ANSWER_MS;
}

/** Notes what came of a permit; it is reported at once, and again until a reply acknowledges it. */
export function giveBack(view: BreakerView, result: ProbeResult, now: number): void {
  view.probes = [...view.probes, { ...result, at: now }].slice(-MAX_PROBES);
}

/** Takes in the owner's reply to message `seq`. One that isn't awaited any more brings nothing but a permit to give back. */
export function heard(
  view: BreakerView,
  seq: number,
  reply: BreakerReply,
  now: number,
  rules: BreakerRules = BREAKER_RULES,
): void {
  const { permit } = reply;
  if (seq !== view.awaited) {
    if (permit !== null) giveBack(view, { permit: permit.id, outcome: "none" }, now);
    return;
  }
  const { awaitedSince, awaitedProbes } = view;
  view.awaited = 0;
  view.silentSince = undefined;
  view.localOpenings = 0;
  view.probes = view.probes.filter((probe) => !awaitedProbes.includes(probe));
  view.askAt = -Infinity;
  view.urgentMs = reply.urgentMs;
  view.isolates = reply.isolates;
  view.reportMs = reply.reportMs;
  view.reportAt = now + reply.reportMs;
  if (permit !== null) {
    const startsAt = rules.permitStart(awaitedSince, now);
    const deadlineAt = startsAt + permit.deadlineMs;
    view.permit = { id: permit.id, startsAt, startsUntil: startsAt + rules.startMs, deadlineAt };
  }
  // From an owner that is over and doesn't know it.
  if (reply.epoch < view.epoch) view.askAt = now + ASK_PAUSE_MS;
  else adopt(view, reply, now);
}

/** The call of message `seq` failed, or is given up. Votes and probes are said again; counts are lost. */
export function failed(view: BreakerView, seq: number, now: number): void {
  if (seq !== view.awaited) return;
  view.awaited = 0;
  view.silentSince ??= now;
  view.askAt = now + ASK_PAUSE_MS;
  view.reportAt = now + Math.min(1_000, view.reportMs);
}

function adopt(view: BreakerView, { epoch, circuit, ageMs, remainingMs, reportMs }: BreakerReply, now: number): void {
  const isFirst = view.epoch === 0;
  if (view.epoch !== epoch || view.kind !== circuit) {
    view.isFirstEpoch = isFirst && view.bornAt >= now - ageMs;
    if (!view.isFirstEpoch) forget(view);
  }
  view.epoch = epoch;
  view.kind = circuit;
  view.heardAt = now;
  view.until = now + (circuit === "open" ? remainingMs : reportMs);
  if (circuit === "closed" && now < view.localUntil) view.localUntil = Math.max(view.localUntil, now + remainingMs);
  if (circuit !== "half-open" && view.permit !== undefined) returnPermit(view, now);
}

function returnPermit(view: BreakerView, now: number): void {
  if (view.permit !== undefined) giveBack(view, { permit: view.permit.id, outcome: "none" }, now);
  view.permit = undefined;
}

/** Nothing that was counted in another epoch counts in this one. */
function forget(view: BreakerView): void {
  view.hurryAt = Infinity;
  view.unreported = emptyWindow(view.policy.windowMs);
  view.trailing = 0;
  view.localUntil = -Infinity;
  forgetOutcomes(view.recent);
}

function compose(view: BreakerView, wantsPermit: boolean, now: number): BreakerReport {
  const { policy, configVersion, reporter, epoch, isolates } = view;
  if (now >= view.reportAt) view.hurriesLeft = HURRIES;
  view.hurryAt = Infinity;
  view.isUsed = false;
  view.probes = view.probes.filter(({ at }) => Math.abs(now - at) < PROBE_MEMORY_MS);
  view.awaitedProbes = view.probes;
  reporter.seq += 1;
  view.awaited = reporter.seq;
  view.awaitedSince = now;
  // Counts that belong to no known epoch would count nowhere.
  const counts = epoch === 0 ? NOTHING : countOutcomes(view.unreported, now);
  if (epoch !== 0) view.unreported = emptyWindow(policy.windowMs);
  return {
    v: 1,
    configVersion,
    policy,
    isolate: reporter.isolate,
    seq: reporter.seq,
    epoch,
    isolates,
    ...counts,
    isFailing: view.kind === "closed" && now < view.localUntil,
    wantsPermit,
    probes: view.probes.map(resultOf),
  };
}

function resultOf({ permit, outcome }: UnheardProbe): ProbeResult {
  return { permit, outcome };
}
