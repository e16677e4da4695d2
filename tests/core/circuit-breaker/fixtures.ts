import { hear, newMemory, type BreakerMemory } from "../../../objects/circuit-breaker/breaker.ts";
import type { BreakerReply, BreakerReport } from "../../../objects/circuit-breaker/breaker-messages.ts";
import { DEFAULT_BREAKER, type BreakerPolicy } from "../../../objects/circuit-breaker/breaker-policy.ts";
import {
  newBreaker,
  open,
  probe,
  type BreakerState,
  type CircuitKind,
} from "../../../objects/circuit-breaker/circuit.ts";

/** Some time in 2026, as the owner's clock says it. */
export const START = 1_790_000_000_000;
/** The random number that spreads by nothing. */
export const MIDDLE = 0.5;

/** A report of an isolate that has nothing to say, but for what is given. */
export function report(changes: Partial<BreakerReport> = {}): BreakerReport {
  return {
    v: 1,
    configVersion: 1,
    policy: DEFAULT_BREAKER,
    isolate: "a",
    seq: 1,
    epoch: 1,
    isolates: 0,
    ok: 0,
    failed: 0,
    slow: 0,
    isFailing: false,
    wantsPermit: false,
    probes: [],
    ...changes,
  };
}

/** A reply of an owner of one isolate, closed since ever, but for what is given. */
export function reply(changes: Partial<BreakerReply> = {}): BreakerReply {
  return {
    v: 1,
    epoch: 1,
    circuit: "closed",
    ageMs: START,
    remainingMs: 0,
    reportMs: 1_000,
    urgentMs: 1,
    isolates: 1,
    permit: null,
    ...changes,
  };
}

/** An owner with its clock, past its first second. */
export interface Owner {
  state: BreakerState;
  memory: BreakerMemory;
  now: number;
  hear(changes?: Partial<BreakerReport>): BreakerReply;
  readonly kind: CircuitKind;
}

/** An owner that started two seconds ago, with this state. */
export function owner(policy: Partial<BreakerPolicy> = {}, state?: BreakerState): Owner {
  const full = { ...DEFAULT_BREAKER, ...policy };
  const first = state ?? { ...newBreaker(full), configVersion: 1 };
  let seq = 0;
  return {
    state: first,
    memory: newMemory(first, START - 2_000),
    now: START,
    hear(changes = {}) {
      seq += 1;
      const said = report({ epoch: this.state.epoch, seq, policy: full, ...changes });
      const outcome = hear(this.state, this.memory, said, { now: this.now, random: MIDDLE });
      this.state = outcome.state;
      this.memory = outcome.memory;
      return outcome.reply;
    },
    get kind() {
      return this.state.circuit.kind;
    },
  };
}

/** A breaker that opened at `START` and is being probed since `START + openMs`. */
export function probing(policy: Partial<BreakerPolicy> = {}): BreakerState {
  const full = { ...DEFAULT_BREAKER, ...policy };
  const opened = open({ ...newBreaker(full), configVersion: 1 }, "failure-ratio", START, MIDDLE);
  return probe(opened, START + full.openMs);
}
