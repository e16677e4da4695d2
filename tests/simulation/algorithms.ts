import type { BorrowedLimit } from "../../objects/rate-limiter/borrower.ts";
import type { LeaseRules } from "../../objects/rate-limiter/lease-rules.ts";
import { fuzzed } from "./fuzz.ts";
import { createRandom, type Random } from "./random.ts";
import type { Scenario } from "./scenario.ts";

type Counting = Pick<BorrowedLimit, "algorithm" | "calendar">;

/**
 * A fuzzed run whose policies count in any way there is, several of them together; where limits change in the middle,
 * the way of counting may change too.
 */
export function fuzzedAlgorithms(seed: number, rules?: LeaseRules): Scenario {
  const random = createRandom(seed + 2_000_000);
  const base = fuzzed(seed, rules);
  const countings = new Map<string, Counting>();
  const configurations = base.configurations.map((configuration) => {
    const limits = configuration.limits.map((limit) => {
      const known = countings.get(limit.policy);
      const counting = known !== undefined && random.next() < 0.6 ? known : anyCounting(random);
      countings.set(limit.policy, counting);
      return { ...limit, ...counting };
    });
    return { ...configuration, limits };
  });
  return { ...base, configurations };
}

function anyCounting(random: Random): Counting {
  return random.pick<Counting>([
    {},
    { algorithm: "sliding-window" },
    { algorithm: "sliding-window" },
    { algorithm: "fixed-window" },
    { algorithm: "fixed-window", calendar: { unit: "minute", timeZone: "Asia/Kathmandu" } },
    { algorithm: "approximate-sliding-window" },
  ]);
}
