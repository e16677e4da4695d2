import { describe, expect, it } from "vitest";
import { QUOTA_PRESETS } from "../../../schemas/policies/backends/quota.ts";
import { QUOTA_RULES, type QuotaRules } from "../../../objects/upstream-quota/quota-rules.ts";
import { TIMER_MS } from "./fuzzed-runs.ts";
import { fuzzedEgress } from "./fuzz.ts";
import { atOnce, egress, type EgressMutation, type EgressScenario } from "./scenario.ts";
import { simulateEgress, type EgressOutcome } from "./simulate.ts";

const CALM = egress({});

/** What a few fuzzed runs did that no run may do. */
function faults(runs: number, change: (world: EgressScenario) => EgressScenario = (world) => world) {
  const seen = { tooMany: 0, tooClose: 0, tooLate: 0, inPause: 0 };
  for (let seed = 1; seed <= runs; seed += 1) {
    const world = change(fuzzedEgress(seed));
    const { most, leastMs, latestMs, inPause } = simulateEgress(world);
    if (most > world.policy.requests) seen.tooMany += 1;
    if (leastMs < world.policy.spacingMs) seen.tooClose += 1;
    if (latestMs > TIMER_MS) seen.tooLate += 1;
    if (inPause > 0) seen.inPause += 1;
  }
  return seen;
}

function withRules(rules: Partial<QuotaRules>): (world: EgressScenario) => EgressScenario {
  return (world) => ({ ...world, rules: { ...QUOTA_RULES, ...rules } });
}

/** 200 requests at once of 10 clients on 4 isolates, which can wait for almost five minutes. */
function crowd(changes: Partial<EgressScenario> = {}): EgressScenario {
  const policy = { ...(changes.policy ?? CALM.policy), maxQueue: 200 };
  return egress({ arrivals: atOnce(200, 10, 290_000), durationMs: 320_000, ...changes, policy });
}

function servedOf({ starts }: EgressOutcome): readonly number[] {
  const served = Array.from({ length: 10 }, (_, index) => starts.filter(({ client }) => client === `client ${index}`));
  return served.map(({ length }) => length);
}

it("in 150 runs with everything that may go wrong, never are too many or too close, nobody waits too long, and pauses are kept", () => {
  const seen = { atLimit: 0, bursts: 0, started: 0, refused: 0 };
  for (let seed = 1; seed <= 150; seed += 1) {
    const world = fuzzedEgress(seed);
    const { most, leastMs, latestMs, inPause, ends } = simulateEgress(world);
    expect(most).toBeLessThanOrEqual(world.policy.requests);
    expect(leastMs).toBeGreaterThanOrEqual(world.policy.spacingMs);
    expect(latestMs).toBeLessThan(TIMER_MS);
    expect(inPause).toBe(0);
    if (most === world.policy.requests) seen.atLimit += 1;
    seen.started += ends.started;
    seen.refused += ends.refused;
  }
  // The runs reached the limit and did all there is to do; else they would say nothing.
  expect(seen.atLimit).toBeGreaterThan(50);
  expect(seen.started).toBeGreaterThan(20_000);
  expect(seen.refused).toBeGreaterThan(20_000);
});

it("gives the same run for the same seed", () => {
  expect(simulateEgress(fuzzedEgress(7))).toEqual(simulateEgress(fuzzedEgress(7)));
});

describe.each(Object.entries(QUOTA_PRESETS))(
  "200 requests at once on 4 isolates, by 10 clients, at %s",
  (_name, policy) => {
    const atMost = Math.min(200, policy.requests * 5);

    it.each([
      ["", Infinity, 1],
      [", its owner killed after half a minute", 30_000, 2],
    ])("keep to it in fair turns, and use all of it%s", (_title, killedAt, fair) => {
      for (let seed = 1; seed <= 3; seed += 1) {
        const result = simulateEgress(crowd({ seed, policy, owner: { ...CALM.owner, killedAt } }));
        expect(result.most).toBe(policy.requests);
        expect(result.leastMs).toBeGreaterThanOrEqual(policy.spacingMs);
        expect(result.unfairness).toBeLessThanOrEqual(fair);
        expect(result.latestMs).toBeLessThan(TIMER_MS);
        expect(result.ends).toEqual({ started: atMost, refused: 200 - atMost, left: 0, lost: 0 });
        const served = servedOf(result);
        expect(Math.max(...served) - Math.min(...served)).toBeLessThanOrEqual(fair);
      }
    });
  },
);

describe("an upstream that answers 429", () => {
  it("with Retry-After: 3 is left alone by everyone for 3 s", () => {
    const { starts, inPause } = simulateEgress(
      crowd({ throttling: [{ from: 2_400, to: 2_900, retryAfterMs: 3_000 }] }),
    );
    const times = starts.map(({ at }) => at).filter((at) => at < 10_000);
    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? at));
    expect(gaps.filter((ms) => ms >= 3_000)).toHaveLength(1);
    expect(times.filter((at) => at >= 2_400 && at < 2_900 + 2_500)).toHaveLength(1);
    expect(inPause).toBe(0);
  });

  it("without a time is asked ever more seldom, and at full speed again once it is well", () => {
    const throttling = [{ from: 10_000, to: 100_000, retryAfterMs: null }];
    const { starts } = simulateEgress(crowd({ throttling }));
    const during = starts.filter(({ at }) => at >= 10_000 && at < 100_000);
    expect(during.length).toBeLessThan(15);
    expect(starts.filter(({ at }) => at >= 190_000 && at < 250_000).length).toBeGreaterThanOrEqual(29);
  });
});

describe("what a quota costs", () => {
  it("is one call a request and one row a grant", () => {
    const { calls, rows, ends } = simulateEgress(crowd());
    expect([calls, rows]).toEqual([200, ends.started]);
  });

  it("is a twelfth of a call where slots are lent ahead, at half of what is allowed", () => {
    const arrivals = Array.from({ length: 30_000 }, (_, index) => ({ ...one, at: 1_000 + index * 2 }));
    const policy = { ...CALM.policy, requests: 60_000, burst: 1_000, spacingMs: 0 };
    const { calls, ends } = simulateEgress(egress({ policy, arrivals, durationMs: 62_000 }));
    expect(ends).toEqual({ started: 30_000, refused: 0, left: 0, lost: 0 });
    expect(calls / 30_000).toBeLessThan(1 / 12);
  });

  const one = { client: "client", priority: "normal", waitMs: 1_000 } as const;
});

describe("a check notices when", () => {
  it("a slot counts from its beginning", () => {
    const { tooMany, tooClose } = faults(40, withRules({ slotEnd: (from) => from }));
    expect([tooMany > 5, tooClose > 10]).toEqual([true, true]);
  });

  const LATE: Partial<EgressScenario> = { network: { ...CALM.network, late: 0.3 }, leaving: 0 };

  it.each<[string, Partial<QuotaRules>]>([
    ["an isolate counts its slot from the answer", { countedFrom: (_sentAt, receivedAt) => receivedAt }],
    ["an isolate starts by a slot that may be over", { mayStart: () => true }],
  ])("%s", (_title, rules) => {
    expect(simulateEgress(crowd(LATE)).leastMs).toBeGreaterThanOrEqual(100);
    expect(simulateEgress(withRules(rules)(crowd(LATE))).leastMs).toBeLessThan(100);
  });

  it("clocks are believed to be right", () => {
    expect(faults(60, withRules({ clockError: 0, drift: 0, guardMs: 0 })).tooMany).toBeGreaterThan(0);
  });

  it("an owner forgets when it restarts", () => {
    const forgets = (world: EgressScenario) => ({ ...world, owner: { ...world.owner, forgets: true } });
    expect(faults(40, forgets).tooMany).toBeGreaterThan(10);
    expect(simulateEgress(forgets(crowd({ owner: { ...CALM.owner, killedAt: 30_000 } }))).most).toBeGreaterThan(30);
  });

  const MUTATED: readonly [EgressMutation, Partial<EgressScenario>][] = [
    ["tells grants before they are stored", { owner: { ...CALM.owner, commitMs: 1_000, restartEveryMs: 5_000 } }],
    [
      "credits a slot each time that it comes back",
      // So many that a window is counted in parts, in each of which there are several.
      {
        policy: { ...CALM.policy, requests: 200, burst: 200, spacingMs: 0 },
        arrivals: atOnce(1_000, 10, 100_000),
        network: { ...CALM.network, late: 0.3, doubled: 0.8 },
      },
    ],
    ["starts by a slot that it has given back", {}],
  ];

  it.each(MUTATED)("somebody %s", (mutation, changes) => {
    const { requests } = changes.policy ?? CALM.policy;
    const most = (world: Partial<EgressScenario>) =>
      Math.max(...[1, 2, 3, 4, 5].map((seed) => simulateEgress(crowd({ ...changes, ...world, seed })).most));
    expect(most({})).toBeLessThanOrEqual(requests);
    expect(most({ mutation })).toBeGreaterThan(requests);
  });

  it("nobody watches the deadline", () => {
    const mutated = (world: EgressScenario): EgressScenario => ({ ...world, mutation: "has no deadline" });
    expect(faults(10, mutated).tooLate).toBe(10);
  });

  it("an owner does not hear what the upstream says", () => {
    const throttling = [{ from: 2_400, to: 2_900, retryAfterMs: 60_000 }];
    expect(simulateEgress(crowd({ throttling })).inPause).toBe(0);
    expect(simulateEgress(crowd({ throttling, mutation: "ignores the upstream" })).inPause).toBeGreaterThan(10);
  });

  it("one client is served until it has nothing left", () => {
    const rules = withRules({ afterTurn: (client, [current]) => void current.unshift(client) });
    expect(simulateEgress(rules(crowd())).unfairness).toBeGreaterThan(10);
  });
});
