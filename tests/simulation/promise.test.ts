import { describe, expect, it } from "vitest";
import { fuzzed } from "./fuzz.ts";
import { limitOf, scenario, type Scenario } from "./scenario.ts";
import { simulate } from "./simulate.ts";
import { onOff, shifting, steady, waitThenBurst } from "./traffic.ts";

const FAULTS: Partial<Scenario> = {
  costs: [1, 20],
  network: { medianMs: 30, loss: 0.1, doubled: 0.05, doubledReturns: 0.5 },
  isolateLifeMs: 3_000,
  owner: { serviceMs: 0.7, restartEveryMs: 2_000, splitBrain: true, forgets: false },
  clocks: { driftPpm: 1_000, staleMs: 50 },
  durationMs: 20_000,
  isolates: 10,
};

describe("not one token too many passes", () => {
  it("in 120 runs with everything that may go wrong drawn at random", () => {
    const broken: number[] = [];
    let requests = 0;
    for (let seed = 1; seed <= 120; seed++) {
      const outcome = simulate(fuzzed(seed));
      requests += outcome.requests;
      if (outcome.overAdmission > 0 || outcome.uncounted > 0) broken.push(seed);
    }
    expect(broken).toEqual([]);
    expect(requests).toBeGreaterThan(200_000);
  });

  it.each([
    ["steady traffic", steady(150)],
    ["bursts", onOff(2_000, 200, 1_500)],
    ["traffic that moves from isolate to isolate", shifting(200, 3, 2_000)],
    ["a client that waits until every isolate holds tokens and the bucket is full", waitThenBurst(70, 2_000, 900, 400)],
    ["a client that waits until the leases are about to end", waitThenBurst(60, 3_000, 4_400, 400)],
  ])("under all faults at once: %s", (_name, traffic) => {
    const outcome = simulate(scenario({ ...FAULTS, limits: [limitOf(100, 1_000), limitOf(900, 60_000)], traffic }));
    expect(outcome.overAdmission).toBe(0);
    expect(outcome.served).toBeGreaterThan(0);
  });

  it("when a limit is cut and raised again while isolates of both versions ask", () => {
    const configurations = [300, 60, 20, 200].map((tokens, index) => ({
      at: index * 4_000,
      lagMs: index === 0 ? 0 : 3_000,
      limits: [{ ...limitOf(tokens, 1_000), policy: "p" }],
    }));
    const outcome = simulate(scenario({ ...FAULTS, costs: [1, 1], configurations, traffic: steady(400) }));
    expect(outcome.overAdmission).toBe(0);
    expect(outcome.served).toBeGreaterThan(0);
  });
});

it("gives the same run for the same seed", () => {
  expect(simulate(fuzzed(16))).toEqual(simulate(fuzzed(16)));
});
