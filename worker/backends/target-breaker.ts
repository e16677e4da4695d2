import { isOutdated } from "../../objects/config-version.ts";
import {
  admit,
  isRefusing,
  settle,
  type Admission,
  type Attempt,
} from "../../objects/circuit-breaker/breaker-admission.ts";
import type { BreakerReport } from "../../objects/circuit-breaker/breaker-messages.ts";
import { newView, reconfigure, type BreakerView } from "../../objects/circuit-breaker/breaker-view.ts";
import { classify, type CallEnd } from "../../objects/circuit-breaker/outcome.ts";
import type { Backend, BreakerSettings } from "../../schemas/index.ts";
import type { Exchange } from "../exchange.ts";
import { within } from "../within.ts";
import { reportDue, sendReport } from "./breaker-calls.ts";
import { targetTerms, type TargetState } from "./target.ts";

export type { Attempt, CallEnd };

/** What the breaker of a target needs of the request that meets it. */
export type BreakerCaller = Pick<Exchange, "env" | "ctx" | "configVersion" | "notes">;

/** Whether a request may be sent to a target. */
export type Admitted =
  /**
   * Send it, and `settle` the attempt on every way out. A probe (`attempt.probe`) must be aborted at its `deadlineAt`, in ms
   * since the epoch.
   */
  | { readonly kind: "pass"; readonly attempt: Attempt }
  /** `retryAfterMs`: when another answer may be had, at the earliest. */
  | { readonly kind: "refused"; readonly retryAfterMs: number };

/** The breaker of one target, as the requests of one route meet it. */
export interface TargetBreaker {
  /**
   * Decides at once, but where a permit to probe has to be asked for: one request of this isolate at a time does that, and waits
   * at most 150 ms, those included that it has waited for permits of other targets. Never rejects.
   *
   * @param isLate the request's body is still to come: it gets no permit while others here want one. Clients that send slowly could
   * otherwise keep all permits, and a target that is well again out of use. Default false.
   */
  admit(caller: BreakerCaller, now: number, isLate?: boolean): Admitted | Promise<Admitted>;
  /**
   * Notes what came of a call. For each attempt the first time counts; a body that the target cuts off after that is one
   * failure more.
   */
  settle(caller: BreakerCaller, attempt: Attempt, end: CallEnd, now: number): void;
  /**
   * Sees to it that a breaker that refuses is asked about though requests pass it by, since others take them: nobody else would
   * hear of it when an operator ends that.
   */
  lookAfter(caller: BreakerCaller, now: number): void;
  /** Whether `admit` would refuse, as far as this isolate knows; asks nobody and changes nothing. Never in shadow mode. */
  isRefusing(now: number): boolean;
}

/** How long a request waits for permits, whatever the number of targets that it tries. */
const PERMIT_MS = 150;
/** How long those waited that have, by what is theirs alone. */
const waited = new WeakMap<BreakerCaller["notes"], number>();
/** In `notes.shadowed`. */
const SHADOWED = "circuit-breaker";
/** For how long after a request that wanted a permit one whose body is still to come gets none. */
const WANTED_MS = 10_000;
/** A request that got no permit is told to come back; others may have one by then. */
const REFUSED: Admitted = { kind: "refused", retryAfterMs: 1 };

/**
 * Makes the breaker of a target as a configuration wants it; what is known of the target is in `state`, and stays.
 *
 * In shadow mode it counts, reports and probes, and notes `circuit-breaker` in `notes.shadowed` where it would have refused;
 * nothing is refused, waits, or is aborted for it.
 *
 * @param backend one that the target belongs to, by which operators find it.
 */
export function targetBreaker(state: TargetState, backend: Backend, settings: BreakerSettings): TargetBreaker {
  const { policy, failureStatuses, shadow } = settings;
  const { slowCallMs, operationTimeoutMs } = policy;
  const outcomePolicy = { slowCallMs, operationTimeoutMs, failureStatuses };
  const terms = targetTerms(state.url, backend);
  const shadowProbes = new WeakMap<Attempt, Attempt>();

  function viewFor({ configVersion }: BreakerCaller, now: number): BreakerView {
    const { view } = state;
    if (view?.policy === policy && view.configVersion === configVersion) return view;
    if (view !== undefined && isOutdated(configVersion, view.configVersion)) return view;
    state.terms = terms;
    if (view === undefined) {
      const { isolate } = state;
      return (state.view = newView({ policy, configVersion, reporter: isolate, phase: isolate.phase }, now));
    }
    reconfigure(view, policy, configVersion);
    return view;
  }

  async function askFirst(report: BreakerReport, view: BreakerView, caller: BreakerCaller): Promise<Admitted> {
    const call = sendReport(state, view, { report, caller });
    // The permit that it brings may come too late for this request, and is good for the next one.
    caller.ctx.waitUntil(call);
    const { notes } = caller;
    const before = waited.get(notes) ?? 0;
    const since = Date.now();
    if (before < PERMIT_MS) await within(call, PERMIT_MS - before, noPermit).catch(ignore);
    const now = Date.now();
    waited.set(notes, before + now - since);
    const admission = admit(view, now);
    if (admission.kind !== "ask") return admission;
    // The owner has just answered: a second question is asked in the shade of whatever comes next.
    caller.ctx.waitUntil(sendReport(state, view, { report: admission.message, caller }));
    return REFUSED;
  }

  function shadowed(admission: Admission, view: BreakerView, caller: BreakerCaller): Admitted {
    const { epoch } = view;
    switch (admission.kind) {
      case "pass": {
        const { attempt } = admission;
        if (attempt.probe === undefined) return admission;
        // Not told that it is one, nobody aborts it. Where it outlasts its permit, what comes of it counts for nothing.
        const call: Attempt = { epoch, isSettled: false };
        shadowProbes.set(call, attempt);
        return { kind: "pass", attempt: call };
      }
      case "ask":
        caller.ctx.waitUntil(sendReport(state, view, { report: admission.message, caller }));
        return { kind: "pass", attempt: { epoch, isSettled: false } };
      case "refused": {
        const noted = (caller.notes.shadowed ??= []);
        if (!noted.includes(SHADOWED)) noted.push(SHADOWED);
        return { kind: "pass", attempt: { epoch, isSettled: false } };
      }
    }
  }

  return {
    admit(caller, now, isLate = false) {
      const view = viewFor(caller, now);
      if (!shadow && (view.kind === "open" || view.kind === "half-open")) {
        if (!isLate) state.wantedAt = now;
        if (isLate && Math.abs(now - state.wantedAt) < WANTED_MS) {
          reportDue(state, view, caller, now);
          return REFUSED;
        }
      }
      const admission = admit(view, now);
      if (admission.kind === "ask" && !shadow) return askFirst(admission.message, view, caller);
      reportDue(state, view, caller, now);
      return shadow || admission.kind === "ask" ? shadowed(admission, view, caller) : admission;
    },
    settle(caller, attempt, end, now) {
      const view = viewFor(caller, now);
      const started = (shadow ? shadowProbes.get(attempt) : undefined) ?? attempt;
      const isCut = started.isSettled && end.kind === "error" && end.error === "body-cut";
      const call = isCut ? { epoch: started.epoch, isSettled: false } : started;
      settle(view, call, classify(end, outcomePolicy), now);
      reportDue(state, view, caller, now);
    },
    lookAfter(caller, now) {
      const known = state.view;
      if (known !== undefined && isRefusing(known, now)) reportDue(state, viewFor(caller, now), caller, now);
    },
    isRefusing(now) {
      return !shadow && state.view !== undefined && isRefusing(state.view, now);
    },
  };
}

function noPermit(): Error {
  return new Error("no permit in time");
}

function ignore(): void {}
