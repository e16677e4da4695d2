import { describe, expect, it } from "vitest";
import { DEFAULT_BREAKER } from "../../../objects/circuit-breaker/breaker-policy.ts";
import { BREAKER_RULES, type BreakerRules } from "../../../objects/circuit-breaker/breaker-rules.ts";
import { fuzzed } from "./fuzz.ts";
import { WELL, outage, scenario, type Scenario } from "./scenario.ts";
import { simulate } from "./simulate.ts";
import { BREAKER_TABLE, measureBreaker } from "./table.ts";

/** What a few fuzzed runs did that no run may do. */
function faults(runs: number, change: (world: Scenario) => Scenario = (world) => world) {
  const seen = { tooManyProbes: 0, unexplained: 0, stuck: 0 };
  for (let seed = 1; seed <= runs; seed++) {
    const world = change(fuzzed(seed));
    const result = simulate(world);
    if (result.mostProbes > world.policy.halfOpenPermits) seen.tooManyProbes += 1;
    if (result.unexplained.length > 0) seen.unexplained += 1;
    if (result.refusedAtLast > 0) seen.stuck += 1;
  }
  return seen;
}

function withRules(rules: Partial<BreakerRules>): (world: Scenario) => Scenario {
  return (world) => ({ ...world, rules: { ...BREAKER_RULES, ...rules } });
}

it("in 150 runs with everything that may go wrong, probes keep to the permits, and every breaker closes in the end", () => {
  const seen = { atLimit: 0, openings: 0, closings: 0, faults: 0 };
  for (let seed = 1; seed <= 150; seed++) {
    const world = fuzzed(seed);
    const { mostProbes, unexplained, refusedAtLast, transitions } = simulate(world);
    if (mostProbes > world.policy.halfOpenPermits || unexplained.length > 0 || refusedAtLast > 0) seen.faults += 1;
    if (mostProbes === world.policy.halfOpenPermits) seen.atLimit += 1;
    seen.openings += transitions.filter(({ to }) => to === "open").length;
    seen.closings += transitions.filter(({ to }) => to === "closed").length;
  }
  expect(seen.faults).toBe(0);
  // The runs reached the limit and did all there is to do; else they would say nothing.
  expect(seen.atLimit).toBeGreaterThan(50);
  expect(seen.openings).toBeGreaterThan(300);
  expect(seen.closings).toBeGreaterThan(200);
});

it.each(BREAKER_TABLE.map((row) => [row.promise, row.bound, row] as const))("keeps %s %s", (_promise, _bound, row) => {
  const { figure, pass } = measureBreaker(row, [1]);
  expect(pass, figure).toBe(true);
});

it("gives the same run for the same seed", () => {
  expect(simulate(fuzzed(7))).toEqual(simulate(fuzzed(7)));
});

describe("a target", () => {
  it("that answers nothing but 404 after an outage is closed again", () => {
    const policy = { ...DEFAULT_BREAKER, openMs: 2_000 };
    const health = [
      { ...WELL, at: 2_000, failing: 1 },
      { ...WELL, at: 4_000, neutral: 1 },
    ];
    const result = simulate(scenario({ isolates: 4, rate: 200, health, policy, durationMs: 12_000 }));
    expect(result).toMatchObject({ finally: "closed", refusedAtLast: 0, unexplained: [] });
  });

  it("that fails while its owner is gone is spared by each isolate alone, and no request waits for ever", () => {
    const owner = { ...scenario({}).owner, gone: [1_000, 60_000] as const };
    const policy = { ...DEFAULT_BREAKER, openMs: 2_000 };
    const world = { isolates: 4, rate: 200, owner, policy, durationMs: 60_000 };
    const failing = simulate(scenario({ ...world, health: outage(5_000, 50_000) }));
    expect(failing.transitions).toEqual([]);
    expect(failing.wasted / 9_000).toBeLessThan(0.02);
    expect(simulate(scenario({ ...world, health: outage(5_000, 20_000) })).refusedAtLast).toBe(0);
  });

  it("whose calls of before the opening time out after the closing is not opened for them", () => {
    // It hangs for 3 s, fails at once for a moment, and is well: the hanging calls end 10 s after they began.
    const health = [
      { ...WELL, at: 2_000, hanging: 1 },
      { ...WELL, at: 5_000, failing: 1 },
      { ...WELL, at: 6_000 },
    ];
    const policy = { ...DEFAULT_BREAKER, openMs: 2_000 };
    const world = { isolates: 4, rate: 200, health, policy, durationMs: 20_000 };
    const kinds = (rules: BreakerRules) => simulate(scenario({ ...world, rules })).transitions.map(({ to }) => to);
    expect(kinds(BREAKER_RULES)).toEqual(["open", "half-open", "closed"]);
    expect(kinds({ ...BREAKER_RULES, acceptsEpoch: () => true }).length).toBeGreaterThan(3);
  });
});

describe("a check notices when", () => {
  it("a probe has no deadline: one that is lost blocks its place for ever", () => {
    const { stuck } = faults(40, withRules({ permitEnd: () => Number.MAX_SAFE_INTEGER }));
    expect(stuck).toBeGreaterThan(10);
  });

  it("a permit ends before its probe must have ended", () => {
    const { tooManyProbes } = faults(40, withRules({ permitEnd: (at, deadlineMs) => at + deadlineMs - 2_000 }));
    expect(tooManyProbes).toBeGreaterThan(5);
  });

  it("a result of an earlier epoch counts", () => {
    expect(faults(150, withRules({ acceptsEpoch: () => true })).unexplained).toBeGreaterThan(0);
  });

  it("a probe of an earlier epoch leaves its place free while it hangs", () => {
    const hanging = { ...WELL, at: 1_000, hanging: 0.5, failing: 0.5 };
    const policy = { ...DEFAULT_BREAKER, openMs: 1_000, openMaxMs: 1_000, operationTimeoutMs: 8_000 };
    const world = scenario({ isolates: 8, rate: 200, health: [hanging], policy, durationMs: 60_000 });
    expect(simulate(world).mostProbes).toBe(3);
    expect(simulate(withRules({ occupies: (given, epoch) => given === epoch })(world)).mostProbes).toBeGreaterThan(3);
  });

  it("an owner forgets when it restarts", () => {
    const hanging = { ...WELL, at: 1_000, hanging: 0.5, failing: 0.5 };
    const policy = { ...DEFAULT_BREAKER, openMs: 1_000, openMaxMs: 1_000, operationTimeoutMs: 8_000 };
    const owner = { ...scenario({}).owner, restartEveryMs: 3_000 };
    const world = scenario({ isolates: 8, rate: 200, health: [hanging], policy, owner, durationMs: 60_000 });
    expect(simulate(world).mostProbes).toBe(3);
    expect(simulate({ ...world, owner: { ...owner, forgets: true } }).mostProbes).toBeGreaterThan(3);
  });

  it("one isolate is enough to open", () => {
    const world = scenario({ isolates: 20, rate: 1_000, sick: 1, durationMs: 20_000 });
    expect(simulate(world).transitions).toEqual([]);
    expect(simulate(withRules({ quorum: () => 1 })(world)).transitions).not.toEqual([]);
  });

  it("an object that has just started believes the first that reports", () => {
    const idleMs = 10_000;
    const owner = { ...scenario({}).owner, idleMs };
    const openings = (rules: Partial<BreakerRules>) => {
      const runs = Array.from({ length: 20 }, (_, seed) =>
        scenario({ seed, isolates: 20, rate: 20, sick: 1, sickLoad: 10, owner, durationMs: 3_000 }),
      );
      return runs.filter((world) => simulate(withRules(rules)(world)).transitions.length > 0).length;
    };
    expect(openings({})).toBe(0);
    expect(openings({ earlyQuorum: () => 1 })).toBeGreaterThan(2);
  });

  it("a voter does not wait until its owner can judge", () => {
    const owner = { ...scenario({}).owner, idleMs: 10_000 };
    const world = scenario({ isolates: 1, rate: 100, owner, health: outage(0, 5_000), durationMs: 4_000 });
    const lastPass = (rules: Partial<BreakerRules>) => simulate(withRules(rules)(world)).lastPasses[1];
    expect(lastPass({})).toBeLessThan(200);
    expect(lastPass({ answerMs: -1_000 })).toBeGreaterThan(1_000);
  });

  it("an isolate does not open by itself", () => {
    const world = scenario({ isolates: 100, rate: 10_000, health: outage(3_000, 8_000), durationMs: 5_000 });
    expect(simulate(withRules({ localOpenMs: 0 })(world)).wasted).toBeGreaterThan(1.2 * simulate(world).wasted);
  });

  it("reports of trouble are not spread, or regular ones not paced by the number of isolates", () => {
    const world = scenario({ isolates: 500, rate: 25_000, health: [{ ...WELL, failing: 0.05 }], durationMs: 8_000 });
    expect(simulate(world).callsPerSecond).toBeLessThan(200);
    expect(simulate(withRules({ paceMs: () => 1_000 })(world)).callsPerSecond).toBeGreaterThan(300);
  });
});
