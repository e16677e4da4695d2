import { describe, expect, it } from "vitest";
import { LEASE_RULES, type LeaseRules } from "../../objects/rate-limiter/leases/lease-rules.ts";
import { limitOf, scenario, type Scenario } from "./scenario.ts";
import { simulate } from "./simulate.ts";
import { onOff, steady, waitThenBurst } from "./traffic.ts";

const SEEDS = [1, 2, 3];

/** What the checker says at worst of a few runs. */
function overAdmission(changes: Partial<Scenario>, rules: Partial<LeaseRules> = {}): number {
  const runs = SEEDS.map((seed) => simulate(scenario({ ...changes, seed, rules: { ...LEASE_RULES, ...rules } })));
  return Math.max(...runs.map((run) => run.overAdmission));
}

function meanUnderUse(changes: Partial<Scenario>, rules: Partial<LeaseRules> = {}): number {
  const runs = SEEDS.map((seed) => simulate(scenario({ ...changes, seed, rules: { ...LEASE_RULES, ...rules } })));
  return runs.reduce((sum, run) => sum + run.underUse, 0) / runs.length;
}

const perSecond = [{ at: 0, lagMs: 0, limits: [limitOf(100, 1_000)] }];

/** The bucket is full again behind leases that are still out. */
const behindLeases: Partial<Scenario> = {
  configurations: perSecond,
  isolates: 10,
  traffic: waitThenBurst(70, 2_000, 900, 400),
  durationMs: 20_000,
};

/** The leases are about to end. */
const nearTheEnd: Partial<Scenario> = {
  configurations: perSecond,
  traffic: waitThenBurst(60, 3_000, 4_200, 400),
  durationMs: 40_000,
};

const restarts: Partial<Scenario> = {
  configurations: perSecond,
  traffic: steady(150),
  owner: { serviceMs: 0.7, restartEveryMs: 2_000, splitBrain: false, forgets: false },
  durationMs: 20_000,
};

/** Isolates return what they didn't use, and every return arrives twice. */
const doubledReturns: Partial<Scenario> = {
  configurations: [{ at: 0, lagMs: 0, limits: [limitOf(300, 300_000)] }],
  traffic: onOff(100, 1_000, 3_000),
  network: { medianMs: 20, loss: 0, doubled: 0, doubledReturns: 1 },
  durationMs: 60_000,
};

/** Half of the isolates hear of a cut two seconds before the others. */
const cut: Partial<Scenario> = {
  configurations: [200, 40].map((tokens, index) => ({
    at: index * 5_000,
    lagMs: index * 20_000,
    limits: [{ ...limitOf(tokens, 1_000), policy: "p" }],
  })),
  isolates: 10,
  traffic: steady(400),
  durationMs: 25_000,
};

describe("the checker notices when", () => {
  it.each<[string, Partial<Scenario>, Partial<LeaseRules>]>([
    ["tokens on lease don't count against the ceiling", behindLeases, { outstandingOf: () => 0 }],
    ["refill is credited that was turned away before the spending", behindLeases, { creditShiftMs: -940 }],
    [
      "a lease counts from its arrival and the owner ends it early",
      nearTheEnd,
      { leaseStart: (_, at) => at, guardMs: -500 },
    ],
    ["a return counts twice", doubledReturns, { creditsReturn: () => true, rememberMs: 0 }],
    ["an older configuration changes a limit", cut, { mayChangeLimit: () => true }],
  ])("%s", (_title, changes, mutation) => {
    expect(overAdmission(changes)).toBe(0);
    expect(overAdmission(changes, mutation)).toBeGreaterThan(1);
  });

  it("an owner forgets when it restarts", () => {
    expect(overAdmission(restarts)).toBe(0);
    const owner = { serviceMs: 0.7, restartEveryMs: 2_000, splitBrain: false, forgets: true };
    expect(overAdmission({ ...restarts, owner })).toBeGreaterThan(1);
  });
});

describe("the figures notice when", () => {
  it("the rate includes the request that asks: leases strand tokens where isolates are slow", () => {
    const slow = {
      configurations: [{ at: 0, lagMs: 0, limits: [limitOf(200, 10_000)] }],
      isolates: 60,
      traffic: steady(19),
      durationMs: 120_000,
    };
    expect(meanUnderUse(slow)).toBeLessThan(0.01);
    expect(meanUnderUse(slow, { reportedRate: (_, after) => after })).toBeGreaterThan(0.01);
  });

  it("isolates pause for longer than a bucket takes to fill", () => {
    const busy = {
      configurations: [{ at: 0, lagMs: 0, limits: [limitOf(200, 1_000)] }],
      isolates: 40,
      traffic: steady(400),
    };
    expect(meanUnderUse(busy)).toBeLessThan(0.03);
    expect(meanUnderUse(busy, { maxHoldMs: (fillMs) => 3 * fillMs })).toBeGreaterThan(0.1);
  });
});
