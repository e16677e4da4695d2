import type { BreakerPolicy } from "../../../objects/circuit-breaker/breaker-policy.ts";
import type { CircuitKind } from "../../../objects/circuit-breaker/circuit.ts";
import type { Counts } from "../../../objects/circuit-breaker/outcome-window.ts";
import type { TargetEvent } from "../../../objects/circuit-breaker/target-events.ts";
import type { PastCheck } from "../../../objects/circuit-breaker/target-record.ts";
import type { TargetStatus } from "../../../objects/circuit-breaker/target-status.ts";
import type { Answered } from "./target-owners.ts";
import type { Watched } from "./watched-targets.ts";

/** How a target is now, as operators read it. Times in ms since 1970, or as the name says. */
export interface TargetView {
  /** `none`: nothing watches it, so nobody owns it. `silent`: its owner did not answer, and `problem` says how. */
  readonly owner: "answered" | "silent" | "none";
  readonly problem?: string;
  /** By an operator's order; the configuration's own is `drain`. Absent where its owner did not say. */
  readonly isDraining?: boolean;
  /** Null: no request meets a breaker here. */
  readonly breaker?: BreakerView | null;
  /** Null: no health check is configured. */
  readonly health?: HealthView | null;
}

interface BreakerView {
  readonly state: CircuitKind;
  /** Null: since ever. */
  readonly since: number | null;
  /** Until it is probed; null: it isn't open. */
  readonly remainingMs: number | null;
  readonly openings: number;
  readonly probes: number;
  readonly isolates: number;
  readonly window: Counts;
}

interface HealthView {
  readonly isDown: boolean;
  readonly since: number | null;
  readonly isChecked: boolean;
  readonly checks: number;
  readonly lastCheck: PastCheck | null;
}

/** What is shown of one target alone. */
export interface TargetDetails extends TargetView {
  /** How its breaker judges, as its owner last heard; null: it was told of none. Names as in the configuration. */
  readonly circuitBreaker?: Readonly<Record<string, number>> | null;
  /** The newest first. */
  readonly events?: readonly TargetEvent[];
}

/** An owner that has nothing to remember. */
const CLOSED: BreakerView = {
  state: "closed",
  since: null,
  remainingMs: null,
  openings: 0,
  probes: 0,
  isolates: 0,
  window: { ok: 0, failed: 0, slow: 0 },
};
const UNCHECKED: HealthView = { isDown: false, since: null, isChecked: false, checks: 0, lastCheck: null };

/** Shows a target by its owner's answer; undefined: nobody was asked, since nothing watches it. */
export function viewTarget(watched: Watched, answer: Answered<TargetStatus | null> | undefined): TargetView {
  if (answer === undefined) return { owner: "none", breaker: null, health: null };
  if (answer.kind === "silent") return { owner: "silent", problem: answer.problem };
  const { reply: status } = answer;
  return {
    owner: "answered",
    isDraining: status?.isDraining ?? false,
    breaker: watched.byBreaker ? breakerOf(status) : null,
    health: watched.byHealthCheck ? healthOf(status) : null,
  };
}

/** The same with the history, and how it judges. */
export function viewDetails(watched: Watched, answer: Answered<TargetStatus | null> | undefined): TargetDetails {
  const view = viewTarget(watched, answer);
  if (answer?.kind !== "answered") return view;
  const { reply: status } = answer;
  const circuitBreaker = watched.byBreaker && status !== null ? settingsOf(status.policy) : null;
  return { ...view, circuitBreaker, events: status?.events ?? [] };
}

function settingsOf({ openMs, openMaxMs, halfOpenPermits, ...rest }: BreakerPolicy): Readonly<Record<string, number>> {
  return { ...rest, timeoutMs: openMs, maxTimeoutMs: openMaxMs, halfOpenRequests: halfOpenPermits };
}

function breakerOf(status: TargetStatus | null): BreakerView {
  if (status === null) return CLOSED;
  const { circuit: state, since, remainingMs, openings, probes, isolates, window } = status;
  return { state, since, remainingMs, openings, probes, isolates, window };
}

function healthOf(status: TargetStatus | null): HealthView {
  if (status === null || status.health === null) return UNCHECKED;
  const { isDown, since, isChecked, checks, lastCheck } = status.health;
  return { isDown, since, isChecked, checks, lastCheck };
}
