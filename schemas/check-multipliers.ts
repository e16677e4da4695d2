import type { Config, ConfigProblem } from "./config-types.ts";
import type { ConfigInput } from "./config.ts";
import { numberFaults } from "./policies/rate-limit/countable.ts";

/**
 * What is wrong with the limits of the top level only once a route multiplies its costs: they cost more than the limit
 * ever holds, or have too many decimal places to be counted exactly.
 */
export function checkMultipliers({ routes = [] }: ConfigInput, config: Config): readonly ConfigProblem[] {
  return routes.flatMap(({ rateLimitMultiplier: multiplier }, index) => {
    if (multiplier === undefined) return [];
    const faults = (config.routes[index]?.rateLimits ?? []).flatMap((limit) =>
      numberFaults(limit, undefined).map(({ wanted }) => `${wanted} (limit ${limit.name})`),
    );
    return faults.map((fault) => ({
      path: `routes[${index}].rateLimitMultiplier`,
      got: String(multiplier),
      wanted: `a multiplier with which the shared limit has ${fault}`,
    }));
  });
}
