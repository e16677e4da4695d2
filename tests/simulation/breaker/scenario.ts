import { DEFAULT_BREAKER, type BreakerPolicy } from "../../../objects/circuit-breaker/breaker-policy.ts";
import { BREAKER_RULES, type BreakerRules } from "../../../objects/circuit-breaker/breaker-rules.ts";

/** How the target behaves from a time on. Shares are of the calls that begin then. */
export interface Health {
  readonly at: number;
  /** Fail fast. */
  readonly failing: number;
  /** Never answer. */
  readonly hanging: number;
  /** Answer with 404. */
  readonly neutral: number;
  /** What the others take; failures take a tenth of it. */
  readonly latencyMs: number;
}

/** One run: isolates with requests for one target, the owner of its breaker, and a world around them. Times in ms. */
export interface Scenario {
  readonly seed: number;
  readonly durationMs: number;
  /** Requests are handed out, and calls end, in steps of this. */
  readonly tickMs: number;
  readonly isolates: number;
  /** Requests a second, over all isolates. */
  readonly rate: number;
  /** In the order of time; healthy before the first. */
  readonly health: readonly Health[];
  /** So many isolates, the first ones, see nothing but failures: their own network is broken. */
  readonly sick: number;
  /** How many times as many requests each of those gets as one of the others. */
  readonly sickLoad: number;
  /** No request comes between these times. */
  readonly silence: readonly [number, number];
  readonly network: {
    /** Round trip: lognormal around this, cut to 5 to 120 ms. */
    readonly medianMs: number;
    /** Share of messages, each way, that never arrive, up to `quietFrom`. */
    readonly loss: number;
    /** Share of reports that arrive a second time, up to 12 s later. */
    readonly doubled: number;
  };
  readonly isolateLifeMs: number;
  readonly owner: {
    readonly serviceMs: number;
    readonly restartEveryMs: number;
    /** Once more then. */
    readonly restartAt: number;
    /** Without a message for so long it is evicted, and starts with the next one; Infinity: it is there from the beginning. */
    readonly idleMs: number;
    /** Half of the restarts leave the old instance running for up to a second. */
    readonly splitBrain: boolean;
    /** At a restart its clock steps back by up to so much: it moved to another machine. */
    readonly stepBackMs: number;
    /** What no owner may do: begin anew. */
    readonly forgets: boolean;
    /** Doesn't answer between these times. */
    readonly gone: readonly [number, number];
  };
  readonly clocks: { readonly driftPpm: number; readonly staleMs: number };
  /** From then on nothing is lost, dies or restarts. */
  readonly quietFrom: number;
  readonly policy: BreakerPolicy;
  readonly rules: BreakerRules;
}

/** A calm day: nothing fails, isolates live for ever. */
export function scenario(changes: Partial<Scenario>): Scenario {
  return {
    seed: 1,
    durationMs: 30_000,
    tickMs: 10,
    isolates: 500,
    rate: 50_000,
    health: [],
    sick: 0,
    sickLoad: 1,
    silence: [Infinity, Infinity],
    network: { medianMs: 30, loss: 0, doubled: 0 },
    isolateLifeMs: Infinity,
    owner: {
      serviceMs: 0.7,
      restartEveryMs: Infinity,
      restartAt: Infinity,
      idleMs: Infinity,
      splitBrain: false,
      stepBackMs: 0,
      forgets: false,
      gone: [Infinity, Infinity],
    },
    clocks: { driftPpm: 0, staleMs: 0 },
    quietFrom: Infinity,
    policy: DEFAULT_BREAKER,
    rules: BREAKER_RULES,
    ...changes,
  };
}

/** What a healthy target does. */
export const WELL: Health = { at: 0, failing: 0, hanging: 0, neutral: 0, latencyMs: 50 };

/** A share of the calls fails between two times, the target is well before and after. */
export function outage(from: number, to: number, failing = 1): readonly Health[] {
  return [
    { ...WELL, at: from, failing },
    { ...WELL, at: to },
  ];
}
