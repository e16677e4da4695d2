import { admit, isRefusing, settle, type Attempt } from "../../objects/circuit-breaker/breaker-admission.ts";
import { failed } from "../../objects/circuit-breaker/breaker-reporting.ts";
import { newView, reconfigure, type BreakerView, type Reporter } from "../../objects/circuit-breaker/breaker-view.ts";
import { classify, type CallEnd } from "../../objects/circuit-breaker/outcome.ts";
import type { Backend, BreakerSettings } from "../../schemas/index.ts";
import type { Exchange } from "../exchange.ts";
import type { TargetState } from "./target.ts";

export type { Attempt, CallEnd };

/** What the breaker of a target needs of the request that meets it. */
export type Caller = Pick<Exchange, "env" | "ctx" | "configVersion" | "notes">;

/** Whether a request may be sent to a target. */
export type Admitted =
  /**
   * Send it, and `settle` the attempt on every way out. A probe (`attempt.probe`) must be aborted at its `deadlineAt` (ms
   * since the epoch; Infinity in shadow mode).
   */
  | { readonly kind: "pass"; readonly attempt: Attempt }
  /** `retryAfterMs`: when another answer may be had, at the earliest. */
  | { readonly kind: "refused"; readonly retryAfterMs: number };

/** The breaker of one target, as one route's requests meet it. */
export interface TargetBreaker {
  /** A promise only where a permit to probe is asked for, which is waited for at most 150 ms. Never rejects. */
  admit(caller: Caller, now: number): Admitted | Promise<Admitted>;
  /**
   * Notes what came of a call. For each attempt the first time counts; a body that the target cuts off after that is one
   * failure more.
   */
  settle(caller: Caller, attempt: Attempt, end: CallEnd, now: number): void;
  /** Whether `admit` would refuse, as far as this isolate knows; asks nobody and changes nothing. False in shadow mode. */
  isRefusing(now: number): boolean;
}

let reporter: Reporter | undefined;
let phase: number | undefined;

/**
 * Makes the breaker of a target; once per configuration, route and target.
 *
 * @param backend one that the target belongs to, by which operators find it.
 */
export function targetBreaker(state: TargetState, backend: Backend, settings: BreakerSettings): TargetBreaker {
  const { policy, failureStatuses, shadow } = settings;
  const outcomePolicy = { slowCallMs: policy.slowCallMs, failureStatuses };

  function viewFor({ configVersion }: Caller, now: number): BreakerView {
    const { view } = state;
    if (view === undefined) return (state.view = firstView(policy, configVersion, now));
    if (view.policy !== policy || view.configVersion !== configVersion) reconfigure(view, policy, configVersion);
    return view;
  }

  return {
    admit(caller, now) {
      const view = viewFor(caller, now);
      const admission = admit(view, now);
      if (admission.kind === "pass") return admission;
      if (admission.kind === "ask") failed(view, admission.message.seq, now);
      if (shadow) return { kind: "pass", attempt: { epoch: view.epoch, isSettled: false } };
      return admission.kind === "ask" ? { kind: "refused", retryAfterMs: 1 } : admission;
    },
    settle(caller, attempt, end, now) {
      const isCut = attempt.isSettled && end.kind === "error" && end.error === "body-cut";
      const call = isCut ? { epoch: attempt.epoch, isSettled: false } : attempt;
      settle(viewFor(caller, now), call, classify(end, outcomePolicy), now);
    },
    isRefusing(now) {
      return !shadow && state.view !== undefined && isRefusing(state.view, now);
    },
  };
}

function firstView(policy: BreakerSettings["policy"], configVersion: number, now: number): BreakerView {
  // At first use: there is no randomness at start-up.
  reporter ??= { isolate: crypto.randomUUID(), seq: 0 };
  phase ??= Math.random();
  return newView({ policy, configVersion, reporter, phase }, now);
}
