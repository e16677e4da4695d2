import { createRandom } from "../random.ts";
import { onOff, shifting, steady, type Traffic } from "../traffic.ts";

/** One run over operations in flight. Times in ms of true time; nothing here is random but what `seed` makes so. */
export interface PermitScenario {
  readonly seed: number;
  readonly durationMs: number;
  readonly isolates: number;
  /** Permits in force: the first number from the start, each isolate adopting the others within `lagMs`. */
  readonly limits: readonly { readonly at: number; readonly lagMs: number; readonly permits: number }[];
  readonly traffic: Traffic;
  readonly operations: {
    readonly meanMs: number;
    /** Share of streams, which last 5 to 60 s. */
    readonly streams: number;
  };
  readonly network: {
    /** Round trip: lognormal around this. */
    readonly medianMs: number;
    /** Share of messages, each way, that never arrive. */
    readonly loss: number;
    /** Share of questions that arrive a second time, up to 12 s later. */
    readonly doubled: number;
  };
  /** How often an isolate loses sight of the owner for 5 to 40 s. */
  readonly cutOffEveryMs: number;
  /** Share of leases with which a client does its worst: its isolate hears no more, and streams start as the lease ends. */
  readonly lateStreams: number;
  readonly isolateLifeMs: number;
  readonly owner: { readonly restartEveryMs: number; readonly splitBrain: boolean };
  readonly clocks: { readonly driftPpm: number; readonly staleMs: number };
  readonly mutation: PermitMutation | undefined;
}

/** What would break the promise. */
export type PermitMutation =
  | "reclaims half a second early"
  | "counts a lease from its answer"
  | "forgets in a restart"
  | "accepts a late answer"
  | "lets operations outlive their permits"
  | "takes the limit of an older configuration";

/** A calm day: nothing fails. */
export function permitScenario(changes: Partial<PermitScenario>): PermitScenario {
  return {
    seed: 1,
    durationMs: 60_000,
    isolates: 5,
    limits: [{ at: 0, lagMs: 0, permits: 40 }],
    traffic: steady(200),
    operations: { meanMs: 50, streams: 0 },
    network: { medianMs: 20, loss: 0, doubled: 0 },
    cutOffEveryMs: Infinity,
    lateStreams: 0,
    isolateLifeMs: Infinity,
    owner: { restartEveryMs: Infinity, splitBrain: false },
    clocks: { driftPpm: 0, staleMs: 0 },
    mutation: undefined,
    ...changes,
  };
}

/** A run with everything at once that may go wrong, drawn from its seed. */
export function fuzzedPermits(seed: number): PermitScenario {
  const random = createRandom(seed);
  const permits = random.pick([1, 2, 5, 20, 100]);
  const meanMs = random.pick([20, 200, 2_000]);
  const rate = Math.min(150, (1_000 / meanMs) * permits * random.pick([0.5, 1.2, 4]));
  const isolates = random.pick([1, 3, 8, 20]);
  const limits = [{ at: 0, lagMs: 0, permits }];
  if (random.next() < 0.5) {
    const factor = random.pick([0.2, 0.5, 2]);
    limits.push({ at: 20_000, lagMs: random.pick([0, 3_000]), permits: Math.max(1, Math.round(permits * factor)) });
  }
  return permitScenario({
    seed,
    isolates,
    limits,
    traffic: random.pick([steady(rate), onOff(rate * 4, 500, 2_000), shifting(rate, Math.ceil(isolates / 4), 3_000)]),
    operations: { meanMs, streams: random.pick([0, 0.02, 0.2]) },
    network: {
      medianMs: random.pick([10, 40, 250]),
      loss: random.pick([0, 0.02, 0.2]),
      doubled: random.pick([0, 0.1]),
    },
    cutOffEveryMs: random.pick([Infinity, 30_000]),
    lateStreams: random.pick([0, 0.05]),
    isolateLifeMs: random.pick([Infinity, 20_000, 5_000]),
    owner: { restartEveryMs: random.pick([Infinity, 3_000]), splitBrain: random.next() < 0.5 },
    clocks: { driftPpm: random.pick([0, 1_000]), staleMs: random.pick([0, 50]) },
  });
}
