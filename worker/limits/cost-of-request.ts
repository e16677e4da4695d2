import { requestCost, timesMultiplier } from "../../objects/rate-limiter/algorithms/cost.ts";
import type { RateLimit } from "../../schemas/index.ts";
import type { Exchange } from "../exchange.ts";

/** What a request costs under each of some limits, in units. */
export type Costs = (exchange: Exchange) => readonly number[];

/** Compiles the costs under limits. Where no limit looks at the request, the same list is returned for all of them. */
export function compileCosts(limits: readonly RateLimit[]): Costs {
  const nothing = { path: "", header: () => null };
  if (limits.every(({ cost }) => cost.kind === "static")) {
    const costs = limits.map((limit) => costUnder(limit, nothing));
    return () => costs;
  }
  return ({ canonical, fields }) => {
    const request = { path: canonical.path, header: (name: string) => fields.endToEnd.get(name) };
    return limits.map((limit) => costUnder(limit, request));
  };
}

function costUnder(limit: RateLimit, request: Parameters<typeof requestCost>[1]): number {
  return timesMultiplier(requestCost(limit.cost, request, limit.unitsPerToken), limit.multiplier);
}
