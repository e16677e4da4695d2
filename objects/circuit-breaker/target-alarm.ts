import type { Kept } from "./target-events.ts";
import { firstCheckAt, isWatched, nextCheckAt, targetForgettableAt } from "./target-record.ts";

/** The one alarm of a target's owner: it wakes for the next health check, or to forget. */
export interface TargetAlarm {
  /** Reads the alarm that an earlier instance set; before anything else. */
  start(): Promise<void>;
  /** Sets the alarm if what is kept now needs one earlier than there is. */
  plan(kept: Kept, now: number, random: number): void;
  /** To be called first when it rings. Says whether a check is due, the next being set already, or everything may go. */
  rang(kept: Kept, now: number, random: number): "check" | "forget" | "wait";
  /** Nothing is set any more, or nobody knows. */
  lost(): void;
}

/** Takes charge of an object's alarm. */
export function openTargetAlarm(storage: DurableObjectStorage): TargetAlarm {
  /** Undefined: none is set. */
  let alarmAt: number | undefined;

  function set(at: number): void {
    alarmAt = at;
    // Not awaited: it commits together with the rows, and the output gate waits for both.
    void storage.setAlarm(at);
  }

  function plan(kept: Kept, now: number, random: number): void {
    const { record } = kept;
    if (record !== undefined && record.health !== null && isWatched(record, now)) {
      const latest = nextCheckAt(record.health, now, 1);
      if (alarmAt === undefined || alarmAt > latest) set(firstCheckAt(record.health, now, random));
      return;
    }
    const at = forgettableAt(kept);
    if (alarmAt === undefined && at < Infinity) set(at);
  }

  return {
    async start() {
      alarmAt = (await storage.getAlarm()) ?? undefined;
    },
    plan,
    rang(kept, now, random) {
      alarmAt = undefined;
      const { record } = kept;
      if (record !== undefined && record.health !== null && isWatched(record, now)) {
        // Before the check: whatever becomes of it, the next one comes.
        set(nextCheckAt(record.health, now, random));
        return "check";
      }
      if (now >= forgettableAt(kept)) return "forget";
      plan(kept, now, random);
      return "wait";
    },
    lost() {
      alarmAt = undefined;
    },
  };
}

function forgettableAt({ breaker, record }: Kept): number {
  const { kind } = breaker.circuit;
  if (record === undefined || kind === "forced-open" || kind === "forced-closed") return Infinity;
  return targetForgettableAt(record);
}
