import type { BreakerMemory } from "./breaker.ts";
import type { BreakerState, CircuitKind, Transition } from "./circuit.ts";
import { countOutcomes, type Counts } from "./outcome-window.ts";

/** What an operator is told of a breaker. */
export interface BreakerStatus {
  readonly circuit: CircuitKind;
  /** Rises with every change; two answers of one epoch speak of the same state. */
  readonly epoch: number;
  /** Since when, in ms since the epoch; null: ever. */
  readonly since: number | null;
  /** Until it is probed; null: it isn't open. */
  readonly remainingMs: number | null;
  /** Openings in a row, each of which doubles the open time; 0 where that is not counted. */
  readonly openings: number;
  /** Probes that may be in flight. */
  readonly probes: number;
  /** Isolates that have been heard of lately. */
  readonly isolates: number;
  /** Outcomes of the window, as far as they were reported to the present instance. */
  readonly window: Counts;
  /** The last changes, the oldest first. */
  readonly history: readonly Transition[];
}

/** Describes a breaker without changing it. An open time that is over is told as open until someone asks to probe. */
export function statusOf(state: BreakerState, memory: BreakerMemory, now: number): BreakerStatus {
  const { circuit, epoch, permits, history } = state;
  return {
    circuit: circuit.kind,
    epoch,
    since: circuit.since === 0 ? null : circuit.since,
    remainingMs: circuit.kind === "open" ? Math.max(0, circuit.until - now) : null,
    openings: "openings" in circuit ? circuit.openings : 0,
    probes: permits.filter(({ endsAt }) => endsAt > now).length,
    isolates: memory.peers.length,
    window: countOutcomes(memory.window, now),
    history,
  };
}
