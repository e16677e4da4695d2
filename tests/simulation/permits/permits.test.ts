import { describe, expect, it } from "vitest";
import { onOff, steady } from "../traffic.ts";
import { fuzzedPermits, permitScenario, type PermitMutation, type PermitScenario } from "./scenario.ts";
import { simulatePermits } from "./simulate.ts";

const SEEDS = [1, 2, 3];
const COUNTED = ["served", "refused", "unanswered", "cut", "keptUp"] as const;

/** Operations in flight above the limit, at worst of a few runs. */
function worstExcess(changes: Partial<PermitScenario>): number {
  return Math.max(...SEEDS.map((seed) => simulatePermits(permitScenario({ ...changes, seed })).excess));
}

/** More requests than permits, on every isolate. */
const crowded: Partial<PermitScenario> = {
  isolates: 20,
  limits: [{ at: 0, lagMs: 0, permits: 10 }],
  traffic: steady(150),
  operations: { meanMs: 200, streams: 0 },
};

/** Isolates that hear no more, and streams that start as their leases end. */
const attacked: Partial<PermitScenario> = {
  ...crowded,
  limits: [{ at: 0, lagMs: 0, permits: 6 }],
  lateStreams: 0.01,
  durationMs: 300_000,
};

/** The same over half the planet, with an answer on its way for 250 ms. */
const attackedFromAfar: Partial<PermitScenario> = {
  ...attacked,
  isolates: 4,
  operations: { meanMs: 100, streams: 0 },
  network: { medianMs: 500, loss: 0, doubled: 0 },
  durationMs: 500_000,
};

const restarts: Partial<PermitScenario> = {
  ...crowded,
  operations: { meanMs: 1_000, streams: 0 },
  owner: { restartEveryMs: 2_000, splitBrain: true },
  durationMs: 20_000,
};

/** Answers take about a second, and some come after that. */
const slow: Partial<PermitScenario> = {
  ...crowded,
  network: { medianMs: 900, loss: 0.05, doubled: 0 },
  durationMs: 200_000,
};

/** The limit is cut to a quarter, and half of the isolates hear of it late. */
const lowered: Partial<PermitScenario> = {
  ...crowded,
  limits: [20, 5].map((permits, index) => ({ at: index * 10_000, lagMs: index * 60_000, permits })),
  durationMs: 40_000,
};

describe("no more operations are in flight than permits", () => {
  it("in 150 runs with everything that may go wrong drawn at random", () => {
    const broken: number[] = [];
    const sum = { served: 0, refused: 0, unanswered: 0, cut: 0, keptUp: 0 };
    for (let seed = 1; seed <= 150; seed += 1) {
      const outcome = simulatePermits(fuzzedPermits(seed));
      if (outcome.excess > 0) broken.push(seed);
      for (const key of COUNTED) sum[key] += outcome[key];
    }
    expect(broken).toEqual([]);
    // Each of these was there to be decided about, many times over.
    for (const count of Object.values(sum)) expect(count).toBeGreaterThan(100);
  });

  it("and the run for a seed is the same each time", () => {
    expect(simulatePermits(fuzzedPermits(7))).toEqual(simulatePermits(fuzzedPermits(7)));
  });
});

describe("the checker notices when", () => {
  it.each<[PermitMutation, Partial<PermitScenario>]>([
    ["reclaims half a second early", attacked],
    ["counts a lease from its answer", attackedFromAfar],
    ["forgets in a restart", restarts],
    ["accepts a late answer", slow],
    ["lets operations outlive their permits", attacked],
    ["takes the limit of an older configuration", lowered],
  ])("somebody %s", (mutation, changes) => {
    expect(worstExcess(changes)).toBe(0);
    expect(worstExcess({ ...changes, mutation })).toBeGreaterThan(0);
  });
});

describe("what permits cost", () => {
  it.each([
    ["one isolate", { isolates: 1 }, 0.02, 0],
    ["five isolates", {}, 0.08, 0.001],
    ["five isolates in bursts", { traffic: onOff(400, 1_000, 1_000) }, 0.12, 0.06],
    ["five isolates at the limit", { limits: [{ at: 0, lagMs: 0, permits: 15 }] }, 0.12, 0.25],
  ])("on %s: few calls a request, and few refusals that an all-knowing owner would not make", (...row) => {
    const [, changes, mostCalls, mostRefused] = row;
    const outcome = simulatePermits(permitScenario(changes));
    expect(outcome.callsPerRequest).toBeLessThan(mostCalls);
    expect(outcome.refused / outcome.requests).toBeLessThanOrEqual(mostRefused);
  });
});
