import { isOutdated } from "../config-version.ts";
import type { BreakerPolicy } from "./breaker-policy.ts";
import type { CircuitKind } from "./circuit.ts";
import { emptyWindow, type OutcomeWindow } from "./outcome-window.ts";
import type { ProbeResult } from "./probe-permits.ts";
import { noOutcomes, type RecentOutcomes } from "./recent-outcomes.ts";

/** Names an isolate and numbers its messages, over all its breakers. */
export interface Reporter {
  readonly isolate: string;
  seq: number;
}

/** A permit that waits for a request. */
export interface HeldPermit {
  readonly id: number;
  /** When a probe may start, and when it must have ended. */
  readonly startsAt: number;
  readonly startsUntil: number;
  readonly deadlineAt: number;
}

/** A probe's outcome that no reply has acknowledged. */
export interface UnheardProbe extends ProbeResult {
  readonly at: number;
}

/**
 * What one isolate knows of one target. Changed in place, because every request passes here; everything that changes it is
 * in `breaker-admission.ts` and `breaker-reporting.ts`. Times by this isolate's clock.
 */
export interface BreakerView {
  /** Changed by `reconfigure` alone, as is the version that it comes from. */
  policy: BreakerPolicy;
  configVersion: number;
  readonly reporter: Reporter;
  /** In [0, 1), another one in each isolate: its place where reports are spread. */
  readonly phase: number;
  /** When it was made: nothing that it counts is older. */
  readonly bornAt: number;
  /** What the owner said last; `epoch` 0: nothing yet. */
  kind: CircuitKind;
  epoch: number;
  heardAt: number;
  /** Whether what it counted before it heard of any epoch belongs to the present one. */
  isFirstEpoch: boolean;
  /** Open: until when. Else when what was said is no longer good. */
  until: number;
  urgentMs: number;
  reportMs: number;
  isolates: number;
  permit: HeldPermit | undefined;
  /** Whether a call began since the last report: after a silence the state may be another one. */
  isUsed: boolean;
  /** Outcomes that are not reported. */
  unreported: OutcomeWindow;
  recent: RecentOutcomes;
  /** Failures in a row, the last of them at `failedAt`. */
  trailing: number;
  failedAt: number;
  /** Refused until then by this isolate alone; -Infinity: it isn't. */
  localUntil: number;
  /** Times that it opened by itself since the owner answered or a call succeeded. */
  localOpenings: number;
  /** How often a suspicion may still pull a report forward before the next regular one, and when it last did. */
  hurriesLeft: number;
  hurriedAt: number;
  reportAt: number;
  /** When a report of trouble is due; Infinity: none. */
  hurryAt: number;
  probes: readonly UnheardProbe[];
  /** The message whose reply is awaited; 0: none. */
  awaited: number;
  awaitedSince: number;
  awaitedProbes: readonly UnheardProbe[];
  /** Since when the owner doesn't answer; undefined: it does. */
  silentSince: number | undefined;
  /** No permit is asked for before. */
  askAt: number;
}

/** What an isolate knows that has heard nothing: it lets requests pass and asks in their shade. */
export function newView(
  { policy, configVersion, reporter, phase }: Pick<BreakerView, "policy" | "configVersion" | "reporter" | "phase">,
  now: number,
): BreakerView {
  return {
    policy,
    configVersion,
    reporter,
    phase,
    bornAt: now,
    kind: "closed",
    epoch: 0,
    heardAt: -Infinity,
    isFirstEpoch: false,
    until: -Infinity,
    urgentMs: 0,
    reportMs: 1_000,
    isolates: 0,
    permit: undefined,
    isUsed: false,
    unreported: emptyWindow(policy.windowMs),
    recent: noOutcomes(),
    trailing: 0,
    failedAt: -Infinity,
    localUntil: -Infinity,
    localOpenings: 0,
    hurriesLeft: 2,
    hurriedAt: -Infinity,
    reportAt: -Infinity,
    hurryAt: Infinity,
    probes: [],
    awaited: 0,
    awaitedSince: -Infinity,
    awaitedProbes: [],
    silentSince: undefined,
    askAt: -Infinity,
  };
}

/**
 * Judges by another policy from now on; what is known of the target stays. One of an older version changes nothing: a request
 * may outlast the configuration that it began under.
 */
export function reconfigure(view: BreakerView, policy: BreakerPolicy, configVersion: number): void {
  if (isOutdated(configVersion, view.configVersion)) return;
  // Parts of another length can't be put together with these.
  if (policy.windowMs !== view.policy.windowMs) view.unreported = emptyWindow(policy.windowMs);
  view.policy = policy;
  view.configVersion = configVersion;
}
