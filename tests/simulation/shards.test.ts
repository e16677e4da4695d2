import { describe, expect, it } from "vitest";
import { SHARD_COUNT_RULES } from "../../objects/rate-limiter/shards/shard-count.ts";
import { SHARD_RULES, type ShardRules } from "../../objects/rate-limiter/shards/shard-rules.ts";
import { fuzzedShards } from "./fuzz.ts";
import { limitOf, scenario, sharded, type Scenario } from "./scenario.ts";
import { simulate } from "./simulate.ts";
import { onOff, waves } from "./traffic.ts";

/** Four shards from the first second on. */
const AT_ONCE = { ...SHARD_COUNT_RULES, hotPerSecond: 0, hotMs: 300, coolPerSecond: 0, most: 4 };
const SEEDS = [1, 2, 3, 4, 5, 6];

it("not one token too many passes, nor could, in 40 runs of owners, shards and isolates that come and go", () => {
  const broken: number[] = [];
  let withShards = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const { overAdmission, uncounted, shards } = simulate(fuzzedShards(seed));
    if (overAdmission > 0 || uncounted > 0) broken.push(seed);
    if (shards > 0) withShards += 1;
  }
  expect(broken).toEqual([]);
  expect(withShards).toBeGreaterThan(20);
});

/** Demand falls, and shards can't reach the owner, for longer than their leases live; isolates go on asking them. */
const cutOff: Partial<Scenario> = {
  isolates: 6,
  isolateLifeMs: Infinity,
  traffic: waves(75, 3_400, 10, 9_000),
  durationMs: 60_000,
  sharding: sharded({ counting: AT_ONCE, cutOff: { everyMs: 9_000, forMs: 5_600 } }),
};

/** Isolates return what they don't use, and half of the returns arrive a second time, up to 12 s later. */
const lateReturns: Partial<Scenario> = {
  isolates: 12,
  traffic: onOff(400, 1_000, 5_300),
  network: { medianMs: 20, loss: 0, doubled: 0, doubledReturns: 0.5 },
  durationMs: 40_000,
  sharding: sharded({ counting: AT_ONCE }),
};

describe("the checker notices when", () => {
  it.each<[string, Partial<Scenario>, Partial<ShardRules>]>([
    ["a shard lends for longer than it has", cutOff, { childEnd: (parentEnd) => parentEnd + 5_000 }],
    ["a shard goes on lending when its own lease has ended", cutOff, { mayLend: () => true }],
    ["a shard credits what comes back after the end", lateReturns, { creditsReturn: () => true }],
  ])("%s", (_title, changes, mutation) => {
    expect(uncounted(changes)).toBe(0);
    expect(uncounted(changes, mutation)).toBeGreaterThan(1);
  });
});

/** Tokens at worst that could have been spent and that no owner counted. */
function uncounted(changes: Partial<Scenario>, rules: Partial<ShardRules> = {}): number {
  const runs = SEEDS.map((seed) => {
    const sharding = { ...(changes.sharding ?? sharded()), rules: { ...SHARD_RULES, ...rules } };
    return simulate(scenario({ limits: [limitOf(100, 1_000)], ...changes, seed, sharding }));
  });
  return Math.max(...runs.map((run) => run.uncounted));
}
