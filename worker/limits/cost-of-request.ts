import { requestCost } from "../../objects/rate-limiter/cost.ts";
import type { RateLimit } from "../../schemas/index.ts";
import type { Exchange } from "../exchange.ts";

/** What a request costs under each of some limits, in units. */
export type Costs = (exchange: Exchange) => readonly number[];

/** Multipliers have at most three places: in thousandths they are whole, and their products exact. */
const THOUSAND = 1_000;

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
  const units = requestCost(limit.cost, request, limit.unitsPerToken);
  return limit.multiplier === 1 ? units : Math.ceil((units * Math.round(limit.multiplier * THOUSAND)) / THOUSAND);
}
