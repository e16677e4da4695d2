import type { BreakerState } from "./circuit.ts";
import { newRecord, type TargetRecord } from "./target-record.ts";

/** Everything that the owner of a target stores but its history. */
export interface Kept {
  readonly breaker: BreakerState;
  /** Undefined: the target was never heard of. */
  readonly record: TargetRecord | undefined;
}

/** One change in the life of a target, as it is kept for operators. */
export interface TargetEvent {
  /** In ms since the epoch. */
  readonly at: number;
  /** `circuit`: its breaker; `health`: up or down; `drain`: on or off. */
  readonly kind: "circuit" | "health" | "drain";
  readonly from: string;
  readonly to: string;
  /** A `Cause`, or what the check saw. */
  readonly cause: string;
  /** Who ordered it; null: nobody. */
  readonly by: string | null;
}

/** What happened between two states, the oldest first. */
export function eventsBetween(before: Kept, after: Kept, now: number, by: string | null): readonly TargetEvent[] {
  const known = before.record ?? newRecord("", now);
  const next = after.record ?? known;
  return [
    ...circuitEvents(before.breaker, after.breaker, by),
    ...healthEvents(known, next, now, by),
    ...drainEvents(known, next, now, by),
  ];
}

function circuitEvents(before: BreakerState, after: BreakerState, by: string | null): TargetEvent[] {
  let from: string = before.circuit.kind;
  return after.history
    .filter(({ epoch }) => epoch > before.epoch)
    .map(({ at, to, cause }) => {
      const event: TargetEvent = { at, kind: "circuit", from, to, cause, by };
      from = to;
      return event;
    });
}

function healthEvents(before: TargetRecord, after: TargetRecord, now: number, by: string | null): TargetEvent[] {
  if (before.verdict.isDown === after.verdict.isDown) return [];
  const change = after.verdict.isDown ? { from: "up", to: "down" } : { from: "down", to: "up" };
  return [{ at: now, kind: "health", ...change, cause: healthCause(after, by), by }];
}

function healthCause({ health, lastCheck }: TargetRecord, by: string | null): string {
  if (by !== null) return "reset";
  return health === null ? "no longer checked" : (lastCheck?.detail ?? "");
}

function drainEvents(before: TargetRecord, after: TargetRecord, now: number, by: string | null): TargetEvent[] {
  if (before.isDraining === after.isDraining) return [];
  const change = after.isDraining ? { from: "off", to: "on" } : { from: "on", to: "off" };
  return [{ at: now, kind: "drain", ...change, cause: "operator", by }];
}
