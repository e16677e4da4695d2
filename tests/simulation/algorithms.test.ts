import { describe, expect, it } from "vitest";
import type { BorrowedLimit } from "../../objects/rate-limiter/leases/borrower.ts";
import { LEASE_RULES } from "../../objects/rate-limiter/leases/lease-rules.ts";
import { fuzzedAlgorithms, fuzzedShardedAlgorithms } from "./algorithms.ts";
import { limitOf, scenario, type Scenario } from "./scenario.ts";
import { simulate } from "./simulate.ts";
import { steady, waitThenBurst } from "./traffic.ts";

const FAULTS: Partial<Scenario> = {
  network: { medianMs: 30, loss: 0.1, doubled: 0.05, doubledReturns: 0.5 },
  isolateLifeMs: 3_000,
  owner: { serviceMs: 0.7, restartEveryMs: 2_000, splitBrain: true, forgets: false },
  clocks: { driftPpm: 1_000, staleMs: 50 },
  durationMs: 20_000,
  isolates: 10,
};

const sliding: BorrowedLimit = { ...limitOf(300, 3_000), algorithm: "sliding-window" };
const fixed: BorrowedLimit = { ...limitOf(300, 3_000), policy: "fixed", algorithm: "fixed-window" };

describe("not one token too many passes in any window", () => {
  it("in 60 runs with policies of every algorithm, costs, changes and faults drawn at random", () => {
    const broken: number[] = [];
    let served = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const outcome = simulate(fuzzedAlgorithms(seed));
      served += outcome.served;
      if (outcome.overAdmission > 0) broken.push(seed);
    }
    expect(broken).toEqual([]);
    expect(served).toBeGreaterThan(10_000);
  });

  it("in 12 such runs through shards", () => {
    const broken: number[] = [];
    let served = 0;
    for (let seed = 1; seed <= 12; seed++) {
      const outcome = simulate(fuzzedShardedAlgorithms(seed));
      served += outcome.served;
      if (outcome.overAdmission > 0) broken.push(seed);
    }
    expect(broken).toEqual([]);
    expect(served).toBeGreaterThan(5_000);
  });

  it.each([
    ["a sliding window", [sliding], [1, 1]],
    ["a fixed window", [fixed], [1, 20]],
    ["both, and a bucket", [sliding, fixed, limitOf(150, 1_000)], [1, 3]],
  ] as const)("under all faults at once: %s", (_name, limits, costs) => {
    const traffic = waitThenBurst(70, 2_000, 900, 400);
    const outcome = simulate(scenario({ ...FAULTS, costs, limits, traffic }));
    expect(outcome.overAdmission).toBe(0);
    expect(outcome.served).toBeGreaterThan(0);
  });
});

describe("the checker notices when", () => {
  it("a lease of a window outlives it", () => {
    const rules = { ...LEASE_RULES, guardMs: -3_000 };
    // Isolates hold tokens when the clock's window ends, and everything is asked for right after.
    const limits = [{ ...limitOf(300, 4_000), algorithm: "fixed-window" as const }];
    const traffic = waitThenBurst(30, 2_500, 1_540, 900);
    const changes = { limits, isolates: 10, traffic, durationMs: 20_000 };
    expect(simulate(scenario(changes)).overAdmission).toBe(0);
    expect(simulate(scenario({ ...changes, rules })).overAdmission).toBeGreaterThan(1);
  });

  it("spent tokens of a sliding window are dated too early", () => {
    const rules = { ...LEASE_RULES, creditShiftMs: -940 };
    const changes = { limits: [sliding], isolates: 10, traffic: steady(300), durationMs: 20_000 };
    expect(simulate(scenario(changes)).overAdmission).toBe(0);
    expect(simulate(scenario({ ...changes, rules })).overAdmission).toBeGreaterThan(1);
  });

  it("an older configuration changes a window", () => {
    const configurations = [600, 100].map((tokens, index) => ({
      at: index * 5_000,
      lagMs: index * 20_000,
      limits: [{ ...sliding, tokensPerWindow: tokens, policy: "p" }],
    }));
    const changes = { configurations, isolates: 10, traffic: steady(400), durationMs: 25_000 };
    expect(simulate(scenario(changes)).overAdmission).toBe(0);
    const rules = { ...LEASE_RULES, mayChangeLimit: () => true };
    expect(simulate(scenario({ ...changes, rules })).overAdmission).toBeGreaterThan(1);
  });
});
