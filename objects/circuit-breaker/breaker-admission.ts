import type { BreakerReport } from "./breaker-messages.ts";
import { BREAKER_RULES, type BreakerRules } from "./breaker-rules.ts";
import { judgeFailure, reclose } from "./breaker-local.ts";
import { askForPermit, giveBack, isAwaiting } from "./breaker-reporting.ts";
import type { BreakerView } from "./breaker-view.ts";
import type { Outcome } from "./outcome.ts";
import { addOutcomes } from "./outcome-window.ts";
import { addOutcome } from "./recent-outcomes.ts";

/** A call that was let through. Whoever starts one must `settle` it on every way out. */
export interface Attempt {
  readonly epoch: number;
  /** Absent: an ordinary call. */
  readonly probe?: { readonly permit: number; /** It must have ended by then. */ readonly deadlineAt: number };
  isSettled: boolean;
}

/** What an isolate does with a request for a target. */
export type Admission =
  | { readonly kind: "pass"; readonly attempt: Attempt }
  /** `retryAfterMs`: when another answer may be had, at the earliest. */
  | { readonly kind: "refused"; readonly retryAfterMs: number }
  /** Send this, hand its reply to `heard` or its failure to `failed`, and ask again. Others are refused meanwhile. */
  | { readonly kind: "ask"; readonly message: BreakerReport };

/** A clock that steps back by more makes what is known worthless. */
const MAX_CLOCK_STEP_BACK_MS = 5_000;

/** Decides about a request without waiting. Nothing is asked while the breaker is closed, open or forced. */
export function admit(view: BreakerView, now: number, rules: BreakerRules = BREAKER_RULES): Admission {
  if (hasSteppedBack(view, now)) forgetTimes(view, now);
  switch (view.kind) {
    case "forced-closed":
      return pass(view);
    case "closed":
      if (now < view.localUntil) return { kind: "refused", retryAfterMs: view.localUntil - now };
      if (view.localUntil !== -Infinity) reclose(view);
      return pass(view);
    case "open":
      return now < view.until ? { kind: "refused", retryAfterMs: view.until - now } : seek(view, now, rules);
    case "half-open":
      return seek(view, now, rules);
    case "forced-open":
      if (isLeft(view, now, rules)) return goAlone(view);
      return { kind: "refused", retryAfterMs: Math.max(0, view.until - now) };
  }
}

/** Whether `admit` would refuse; changes nothing. A question that it would ask is no refusal: its answer may be a permit. */
export function isRefusing(view: BreakerView, now: number, rules: BreakerRules = BREAKER_RULES): boolean {
  // Of several targets one that refuses is not asked: it would refuse until the clock is there again.
  if (hasSteppedBack(view, now)) return false;
  switch (view.kind) {
    case "forced-closed":
      return false;
    case "closed":
      return now < view.localUntil;
    case "forced-open":
      return !isLeft(view, now, rules);
    case "open":
      return now < view.until || (!mayPass(view, now, rules) && !mayAsk(view, now));
    case "half-open":
      return !mayPass(view, now, rules) && !mayAsk(view, now);
  }
}

/**
 * Notes what came of a call, once; later calls for the same attempt change nothing. What began in another epoch counts
 * nowhere.
 */
export function settle(
  view: BreakerView,
  attempt: Attempt,
  outcome: Outcome,
  now: number,
  rules: BreakerRules = BREAKER_RULES,
): void {
  if (attempt.isSettled) return;
  attempt.isSettled = true;
  if (attempt.probe !== undefined) {
    giveBack(view, { permit: attempt.probe.permit, outcome: probeOutcome(view, outcome) }, now);
    return;
  }
  if (outcome === "neutral" || outcome === "overload" || outcome === "none") return;
  if (view.kind !== "closed" || !isOfEpoch(view, attempt, rules)) return;
  const isFailure = outcome === "failure";
  const counts = { ok: isFailure ? 0 : 1, failed: isFailure ? 1 : 0, slow: outcome === "slow" ? 1 : 0 };
  view.unreported = addOutcomes(view.unreported, counts, now);
  addOutcome(view.recent, isFailure, now);
  if (!isFailure) {
    view.trailing = 0;
    view.localOpenings = 0;
    return;
  }
  // After an idle window no old outcome counts.
  view.trailing = Math.abs(now - view.failedAt) < view.policy.windowMs ? view.trailing + 1 : 1;
  view.failedAt = now;
  judgeFailure(view, now, rules);
}

/** A request that needs a permit: the one that is held, or a question, or a refusal while there is one under way. */
function seek(view: BreakerView, now: number, rules: BreakerRules): Admission {
  const { permit } = view;
  if (permit !== undefined) {
    view.permit = undefined;
    if (now >= permit.startsAt && now < permit.startsUntil) return probe(view, permit.id, permit.deadlineAt);
    giveBack(view, { permit: permit.id, outcome: "none" }, now);
  }
  if (isLeft(view, now, rules)) return goAlone(view);
  if (mayAsk(view, now)) return { kind: "ask", message: askForPermit(view, now) };
  return { kind: "refused", retryAfterMs: Math.max(1, asksAt(view) - now) };
}

/** Whether there is a permit that may be used, or nobody left who could give one. */
function mayPass(view: BreakerView, now: number, rules: BreakerRules): boolean {
  const { permit } = view;
  return (permit !== undefined && now >= permit.startsAt && now < permit.startsUntil) || isLeft(view, now, rules);
}

function mayAsk(view: BreakerView, now: number): boolean {
  return now >= asksAt(view) && !isAwaiting(view, now);
}

function asksAt({ askAt, kind, until }: BreakerView): number {
  return kind === "half-open" ? Math.max(askAt, until) : askAt;
}

function pass(view: BreakerView): Admission {
  view.isUsed = true;
  return { kind: "pass", attempt: { epoch: view.epoch, isSettled: false } };
}

function probe({ epoch }: BreakerView, permit: number, deadlineAt: number): Admission {
  return { kind: "pass", attempt: { epoch, probe: { permit, deadlineAt }, isSettled: false } };
}

/** A slow probe has not succeeded where slowness opens a breaker. */
function probeOutcome({ policy }: BreakerView, outcome: Outcome): "success" | "failure" | "neutral" | "none" {
  if (outcome === "slow") return policy.slowCallRate < 1 ? "failure" : "success";
  return outcome === "overload" ? "none" : outcome;
}

function isOfEpoch(view: BreakerView, { epoch }: Attempt, rules: BreakerRules): boolean {
  return rules.acceptsEpoch(epoch, view.epoch) || (epoch === 0 && view.isFirstEpoch);
}

/** What was last heard is over, and its owner has not answered for a while since. */
function isLeft({ silentSince, until }: BreakerView, now: number, { graceMs }: BreakerRules): boolean {
  return silentSince !== undefined && now - Math.max(silentSince, until) >= graceMs;
}

/** A breaker protects; it has no authority. Closed, and what this isolate sees for itself. */
function goAlone(view: BreakerView): Admission {
  view.kind = "closed";
  reclose(view);
  return pass(view);
}

function hasSteppedBack({ heardAt }: BreakerView, now: number): boolean {
  return heardAt - now > MAX_CLOCK_STEP_BACK_MS;
}

function forgetTimes(view: BreakerView, now: number): void {
  view.heardAt = now;
  view.until = now;
  view.localUntil = -Infinity;
  view.reportAt = now;
  view.hurryAt = Infinity;
  view.askAt = now;
  view.awaited = 0;
  if (view.silentSince !== undefined) view.silentSince = now;
}
