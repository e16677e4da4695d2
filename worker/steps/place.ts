import type { Backend, Route } from "../../schemas/index.ts";
import { compileCanary } from "../canary/compile-canary.ts";
import type { Step } from "../exchange.ts";
import { compileLocating } from "../geo/locate.ts";

/**
 * Places a request at another backend than its route's own, by where it comes from and then by lot: a variant that is tried out gets its
 * clients from wherever they come. Whatever follows keeps the placements apart.
 *
 * @returns undefined where there is nothing to place by.
 */
export function place(route: Route, backends: ReadonlyMap<string, Backend>): Step | undefined {
  const { geo, canary } = route;
  const locate = geo === undefined ? undefined : compileLocating(geo, route, backends);
  const tryOut = canary === undefined ? undefined : compileCanary(canary, route.id);
  if (locate === undefined && tryOut === undefined) return undefined;
  return function placeStep(exchange, next) {
    const now = Date.now();
    const placement = locate?.(exchange, now);
    if (placement !== undefined) exchange.placement = placement;
    return tryOut === undefined ? next(exchange) : tryOut(exchange, next, now);
  };
}
