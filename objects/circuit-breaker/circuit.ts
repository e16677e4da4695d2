import { DEFAULT_BREAKER, type BreakerPolicy } from "./breaker-policy.ts";
import type { ProbePermit } from "./probe-permits.ts";

/** What a breaker does with requests. Each member has the fields of its state alone; times in ms since the epoch. */
export type Circuit =
  /** Lets them pass. `openings`: in a row before it closed; one is forgotten for each open time that it stays closed. */
  | { readonly kind: "closed"; readonly since: number; readonly openings: number }
  /** Refuses them until a time. `openings`: in a row, this one included. */
  | { readonly kind: "open"; readonly since: number; readonly until: number; readonly openings: number }
  /** Lets those with a permit pass. */
  | ({ readonly kind: "half-open"; readonly since: number; readonly openings: number } & ProbeCount)
  /** By an operator, until he says otherwise. */
  | { readonly kind: "forced-open"; readonly since: number }
  | { readonly kind: "forced-closed"; readonly since: number };

/** What came of the probes of one half-open epoch. */
export interface ProbeCount {
  readonly successes: number;
  readonly failures: number;
  /** Never heard of again. */
  readonly lost: number;
  /** Answered without saying anything of health. */
  readonly neutral: number;
}

/** The name of a state. */
export type CircuitKind = Circuit["kind"];

const KINDS: readonly CircuitKind[] = ["closed", "open", "half-open", "forced-open", "forced-closed"];

/** Whether a value is the name of a state. */
export function isCircuitKind(value: unknown): value is CircuitKind {
  return KINDS.some((kind) => kind === value);
}

/** Why a state came to be. */
export type Cause =
  | "consecutive-failures"
  | "failure-ratio"
  | "slow-calls"
  | "open-time-over"
  | "probes-succeeded"
  | "probes-failed"
  | "operator"
  | "reset"
  | "state-lost";

/** One change of the state: what it became and why. */
export interface Transition {
  readonly at: number;
  readonly epoch: number;
  readonly to: CircuitKind;
  readonly cause: Cause;
}

/** Everything that the owner of a breaker stores. */
export interface BreakerState {
  /** Rises with every transition. What happened in an earlier one never counts. */
  readonly epoch: number;
  /** When this was last changed. */
  readonly at: number;
  readonly circuit: Circuit;
  /** Probes that may be in flight, of any epoch. */
  readonly permits: readonly ProbePermit[];
  /** The highest number of a permit ever given. */
  readonly lastPermit: number;
  /** The last transitions, the oldest first; at most `HISTORY`. */
  readonly history: readonly Transition[];
  /** The version of the configuration that `policy` comes from; -1: none yet. */
  readonly configVersion: number;
  readonly policy: BreakerPolicy;
}

/** How many transitions are remembered. */
export const HISTORY = 20;
/** A clock that steps back by less stands still; by more, everything goes on with the time that it had left. */
const MAX_CLOCK_STEP_BACK_MS = 5_000;

/** The breaker of a target never heard of: closed, since ever. */
export function newBreaker(policy: BreakerPolicy = DEFAULT_BREAKER): BreakerState {
  const circuit: Circuit = { kind: "closed", since: 0, openings: 0 };
  return { epoch: 1, at: 0, circuit, permits: [], lastPermit: 0, history: [], configVersion: -1, policy };
}

/** What enters the next epoch. */
export function enter(state: BreakerState, circuit: Circuit, cause: Cause, now: number): BreakerState {
  const epoch = state.epoch + 1;
  const history = [...state.history, { at: now, epoch, to: circuit.kind, cause }].slice(-HISTORY);
  return { ...state, epoch, at: now, circuit, history };
}

/** Closes. Openings in a row are remembered for a while, so that one that keeps failing is soon spared for long again. */
export function close(state: BreakerState, cause: Cause, now: number): BreakerState {
  const openings = "openings" in state.circuit && cause !== "reset" ? state.circuit.openings : 0;
  return enter(state, { kind: "closed", since: now, openings }, cause, now);
}

/** Opens, for twice as long as the time before where that is remembered. `random` in [0, 1) spreads the time by `jitter`. */
export function open(state: BreakerState, cause: Cause, now: number, random: number): BreakerState {
  const openings = openingsSoFar(state, now) + 1;
  const { openMs, openMaxMs, jitter } = state.policy;
  const ms = Math.min(openMaxMs, openMs * 2 ** Math.min(openings - 1, 30)) * (1 + jitter * (2 * random - 1));
  return enter(state, { kind: "open", since: now, until: now + Math.round(ms), openings }, cause, now);
}

/** Begins to probe if the open time is over; else the very state. */
export function probe(state: BreakerState, now: number): BreakerState {
  const { circuit } = state;
  if (circuit.kind !== "open" || now < circuit.until) return state;
  const count: ProbeCount = { successes: 0, failures: 0, lost: 0, neutral: 0 };
  return enter(state, { kind: "half-open", since: now, openings: circuit.openings, ...count }, "open-time-over", now);
}

/** What an operator asks of a breaker: hold it open or closed, let it judge again, or forget all that happened. */
export type Command = "open" | "closed" | "auto" | "reset";

/** Does what an operator asks; the very state where it is so already. Probes in flight keep their places. */
export function command(state: BreakerState, asked: Command, now: number): BreakerState {
  const { kind } = state.circuit;
  switch (asked) {
    case "open":
      return kind === "forced-open" ? state : enter(state, { kind: "forced-open", since: now }, "operator", now);
    case "closed":
      return kind === "forced-closed" ? state : enter(state, { kind: "forced-closed", since: now }, "operator", now);
    case "auto":
      return kind === "forced-open" || kind === "forced-closed" ? close(state, "operator", now) : state;
    case "reset":
      return close(state, "reset", now);
  }
}

/** The state as it is to be read at `now`, whose clock may have stepped back. */
export function onClock(state: BreakerState, now: number): BreakerState {
  const back = state.at - now;
  if (back <= MAX_CLOCK_STEP_BACK_MS) return state;
  const { circuit } = state;
  const since = Math.min(circuit.since - back, now);
  const moved: Circuit =
    circuit.kind === "open" ? { ...circuit, since, until: circuit.until - back } : { ...circuit, since };
  const permits = state.permits.map((permit) => ({ ...permit, endsAt: permit.endsAt - back }));
  return { ...state, at: now, circuit: moved, permits };
}

function openingsSoFar({ circuit, policy }: BreakerState, now: number): number {
  if (circuit.kind === "half-open" || circuit.kind === "open") return circuit.openings;
  if (circuit.kind !== "closed") return 0;
  return Math.max(0, circuit.openings - Math.floor(Math.max(0, now - circuit.since) / policy.openMs));
}
