import type { BorrowedLimit } from "../../objects/rate-limiter/leases/borrower.ts";
import { LEASE_RULES, type LeaseRules } from "../../objects/rate-limiter/leases/lease-rules.ts";
import { SHARD_RULES, type ShardRules } from "../../objects/rate-limiter/shards/shard-rules.ts";
import { createRandom, type Random } from "./random.ts";
import type { Configuration, Scenario } from "./scenario.ts";
import { onOff, shifting, steady, waitThenBurst, type Traffic } from "./traffic.ts";

/** A run with everything at once that may go wrong, drawn from its seed. */
export function fuzzed(seed: number, rules: LeaseRules = LEASE_RULES): Scenario {
  const random = createRandom(seed);
  const isolates = random.pick([1, 2, 4, 8, 16, 32]);
  const limits = limitsOf(random);
  const durationMs = random.pick([8_000, 15_000, 25_000]);
  return {
    seed,
    durationMs,
    isolates,
    configurations: configurationsOf(random, limits, durationMs),
    traffic: trafficOf(random, limits, isolates),
    costs: random.pick([
      [1, 1],
      [1, 3],
      [1, 20],
    ]),
    network: {
      medianMs: random.between(10, 60),
      loss: random.pick([0, 0.01, 0.1]),
      doubled: random.pick([0, 0.02, 0.1]),
      doubledReturns: random.pick([0, 0.5]),
    },
    isolateLifeMs: random.pick([Infinity, 20_000, 3_000]),
    owner: {
      serviceMs: random.between(0.2, 2),
      restartEveryMs: random.pick([Infinity, 10_000, 2_000]),
      splitBrain: random.next() < 0.5,
      forgets: false,
    },
    clocks: { driftPpm: random.pick([0, 1_000]), staleMs: random.pick([0, 50]) },
    rules,
    sharding: undefined,
  };
}

/**
 * The same with shards from almost the first call on: 2 to 32 of them over up to 300 isolates, whose number changes in the middle and
 * which are believed for seconds only, so that some isolates ask the root while others ask this shard or that.
 */
export function fuzzedShards(seed: number, rules: ShardRules = SHARD_RULES): Scenario {
  const random = createRandom(seed + 1_000_000);
  const counting = {
    hotPerSecond: random.pick([1, 10, 40]),
    hotMs: random.pick([300, 1_000]),
    coolPerSecond: random.pick([0, 1, 8]),
    coolMs: random.pick([1_000, 3_000]),
    most: random.pick([2, 4, 8, 32]),
    ttlMs: random.pick([500, 3_000, 60_000]),
  };
  const lifeMs = random.pick([Infinity, 4_000, 1_500]);
  return {
    ...fuzzed(seed),
    isolates: random.pick([8, 40, 120, 300]),
    sharding: {
      counting,
      lifeMs,
      splitBrain: random.next() < 0.5,
      cutOff: { everyMs: 6_000, forMs: random.pick([0, 0, 1_000, 4_000]) },
      rules,
    },
  };
}

/** One to three policies, from a bucket that fills in a third of a second to one that takes a minute. */
function limitsOf(random: Random): readonly BorrowedLimit[] {
  const limits: BorrowedLimit[] = [];
  const count = random.pick([1, 1, 2, 3]);
  for (let index = 0; index < count; index++) {
    const windowMs = random.pick([1_000, 1_000, 7_000, 60_000]);
    const tokensPerWindow = Math.max(
      1,
      Math.round((random.pick([5, 50, 300]) * windowMs) / 1_000) + random.integer(0, 7),
    );
    const burst = Math.max(20, Math.round(tokensPerWindow * random.pick([0.3, 1, 1, 2])));
    limits.push({ policy: `p${index}`, tokensPerWindow, windowMs, burst, shadow: index === 2 });
  }
  return limits;
}

/** The same limits throughout, or up to three changes of all their numbers that reach the isolates one by one. */
function configurationsOf(
  random: Random,
  limits: readonly BorrowedLimit[],
  durationMs: number,
): readonly Configuration[] {
  const configurations: Configuration[] = [{ at: 0, lagMs: 0, limits }];
  if (random.next() < 0.6) return configurations;
  const changes = random.integer(1, 3);
  for (let change = 1; change <= changes; change++) {
    configurations.push({
      at: (durationMs * change) / (changes + 1),
      lagMs: random.pick([0, 500, 3_000]),
      limits: limits.map((limit) => scaled(limit, random)),
    });
  }
  return configurations;
}

function scaled({ policy, tokensPerWindow, windowMs, burst, shadow }: BorrowedLimit, random: Random): BorrowedLimit {
  const factor = random.pick([0.2, 0.5, 1, 3]);
  return {
    policy,
    tokensPerWindow: Math.max(1, Math.round(tokensPerWindow * factor)),
    windowMs: random.next() < 0.2 ? windowMs * 3 : windowMs,
    burst: Math.max(1, Math.round(burst * random.pick([0.2, 0.5, 1, 3]))),
    shadow,
  };
}

function trafficOf(random: Random, limits: readonly BorrowedLimit[], isolates: number): Traffic {
  const [first] = limits;
  const rate = ((first?.tokensPerWindow ?? 1) * 1_000) / (first?.windowMs ?? 1_000);
  const burst = first?.burst ?? 1;
  const asked = Math.min(800, Math.max(4, rate * random.pick([0.3, 0.9, 1.2, 3])));
  const fillMs = Math.min(4_000, (burst / rate) * 1_000);
  switch (random.integer(0, 4)) {
    case 0:
      return steady(asked);
    case 1:
      return onOff(Math.min(3_000, asked * 10), 200, 2_000);
    case 2:
      return shifting(asked, Math.max(1, Math.floor(isolates / 4)), 3_000);
    default: {
      // Until the bucket is full behind the leases, or until they are about to end.
      const waitMs = random.pick([random.between(0.5, 1) * fillMs, random.between(4_000, 5_000)]);
      return waitThenBurst(asked, random.between(500, 2_500), waitMs, Math.min(3_000, burst * 3));
    }
  }
}
