import type { BreakerMemory } from "./breaker.ts";
import type { BreakerPolicy } from "./breaker-policy.ts";
import { statusOf, type BreakerStatus } from "./breaker-status.ts";
import type { BreakerState } from "./circuit.ts";
import type { TargetEvent } from "./target-events.ts";
import type { HealthTerms } from "./target-messages.ts";
import { isWatched, newsOf, type PastCheck, type TargetRecord } from "./target-record.ts";

/** What an operator is told of a target. */
export interface TargetStatus extends BreakerStatus {
  readonly target: string;
  /** One of the backends that it belongs to; null: no isolate has used it since it was last forgotten. */
  readonly backend: string | null;
  readonly isDraining: boolean;
  /** Null: nobody asked for checks. */
  readonly health: HealthStatus | null;
  /** How its breaker judges, as the last configuration heard of says. */
  readonly policy: BreakerPolicy;
  /** What happened to it, the newest first. */
  readonly events: readonly TargetEvent[];
}

/** What an operator is told of a target's health checks. */
export interface HealthStatus {
  readonly isDown: boolean;
  /** Since when, in ms since the epoch; null: since ever. */
  readonly since: number | null;
  /** Whether checks are under way: somebody was interested lately. */
  readonly isChecked: boolean;
  readonly checks: number;
  readonly lastCheck: PastCheck | null;
  readonly terms: HealthTerms;
}

/** What of an owner is told. */
export interface Described {
  readonly breaker: BreakerState;
  readonly memory: BreakerMemory;
  readonly record: TargetRecord;
  readonly events: readonly TargetEvent[];
}

/** Describes a target without changing anything. */
export function targetStatus({ breaker, memory, record, events }: Described, now: number): TargetStatus {
  const { target, backend, isDraining } = record;
  const { policy } = breaker;
  return {
    ...statusOf(breaker, memory, now),
    target,
    backend,
    isDraining,
    health: healthOf(record, now),
    policy,
    events,
  };
}

function healthOf(record: TargetRecord, now: number): HealthStatus | null {
  const { health: terms, verdict, checks, lastCheck } = record;
  if (terms === null) return null;
  const { downForMs, wellForMs } = newsOf(record, now);
  const since = downForMs === null && wellForMs === null ? null : verdict.since;
  return { isDown: verdict.isDown, since, isChecked: isWatched(record, now), checks, lastCheck, terms };
}
