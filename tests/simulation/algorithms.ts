import type { BorrowedLimit } from "../../objects/rate-limiter/leases/borrower.ts";
import { fuzzed, fuzzedShards } from "./fuzz.ts";
import { createRandom, type Random } from "./random.ts";
import type { Scenario } from "./scenario.ts";

type Counting = Pick<BorrowedLimit, "algorithm" | "calendar">;

/**
 * A fuzzed run whose policies count in any way there is, several of them together; where limits change in the middle,
 * the way of counting may change too.
 */
export function fuzzedAlgorithms(seed: number): Scenario {
  return counted(fuzzed(seed), createRandom(seed + 2_000_000), true);
}

/** The same through shards, which lend what is lent. */
export function fuzzedShardedAlgorithms(seed: number): Scenario {
  return counted(fuzzedShards(seed), createRandom(seed + 3_000_000), false);
}

function counted(base: Scenario, random: Random, withApproximate: boolean): Scenario {
  const countings = new Map<string, Counting>();
  const configurations = base.configurations.map(({ at, lagMs, limits }) => {
    const changed: BorrowedLimit[] = [];
    for (const limit of limits) {
      const known = countings.get(limit.policy);
      const counting = known !== undefined && random.next() < 0.6 ? known : anyCounting(random, withApproximate);
      countings.set(limit.policy, counting);
      changed.push({ ...limit, ...counting });
    }
    return { at, lagMs, limits: changed };
  });
  return { ...base, configurations };
}

function anyCounting(random: Random, withApproximate: boolean): Counting {
  const counting = random.pick<Counting>([
    {},
    { algorithm: "sliding-window" },
    { algorithm: "sliding-window" },
    { algorithm: "fixed-window" },
    { algorithm: "fixed-window", calendar: { unit: "minute", timeZone: "Asia/Kathmandu" } },
    { algorithm: "approximate-sliding-window" },
  ]);
  // Not lent, so not by shards.
  return counting.algorithm === "approximate-sliding-window" && !withApproximate ? {} : counting;
}
