import { resolveBackend, type BackendInput } from "./backends.ts";
import type { Backend } from "./backend-types.ts";
import { resolveClientIp } from "./client-ip.ts";
import type { Config, Route } from "./config-types.ts";
import type { ConfigInput } from "./config.ts";
import { resolveAdmin, resolveEndpoints } from "./endpoints.ts";
import { resolveLimiter } from "./policies/limiter.ts";
import { resolveLogging } from "./policies/logging.ts";
import { resolveRateLimits, statesRateLimits } from "./policies/rate-limit/resolve.ts";
import { resolveSizeLimits } from "./policies/size-limits.ts";
import { resolveTimeouts } from "./policies/timeouts.ts";
import { deriveRouteId, resolveMatch } from "./routes/route-match.ts";
import type { RouteInput } from "./routes/route.ts";

/** Fills in every default and hands the top-level policies down to the routes that have none of their own. */
export function resolveConfig(input: ConfigInput): Config {
  const named = new Map(Object.entries(input.backends ?? {}));
  const defaults = { ...input, multipliers: sharedMultipliers(input) };
  const routes = (input.routes ?? []).map((route) => resolveRoute(route, defaults, named));
  const inline = (input.routes ?? []).flatMap((route, index): readonly Backend[] => {
    const name = routes[index]?.backend;
    return route.target === undefined || name === undefined
      ? []
      : [resolveBackend(name, { targets: [{ url: route.target }] })];
  });
  const backends = [...[...named].map(([name, backend]) => resolveBackend(name, backend)), ...inline];
  return {
    routes,
    backends: new Map(backends.map((backend) => [backend.name, backend])),
    clientIp: resolveClientIp(input.clientIp),
    admin: resolveAdmin(input.admin),
    endpoints: resolveEndpoints(input.endpoints),
    logging: resolveLogging(input.logging),
    limiter: resolveLimiter(input.limiter),
    allowPrivateTargets: input.allowPrivateTargets ?? false,
  };
}

/** What a route has from the top level. */
interface Defaults extends ConfigInput {
  readonly multipliers: readonly number[];
}

function resolveRoute(route: RouteInput, defaults: Defaults, backends: ReadonlyMap<string, BackendInput>): Route {
  const match = resolveMatch(route);
  if (match === undefined) throw new Error("a route without a path passed validation");
  const id = route.id ?? deriveRouteId(match);
  const { rateLimitMultiplier: multiplier = 1 } = route;
  const backend = route.backend === undefined ? undefined : backends.get(route.backend);
  return {
    ...match,
    id,
    backend: route.backend ?? `route:${id}`,
    sizeLimits: resolveSizeLimits(route.sizeLimits ?? defaults.sizeLimits),
    timeouts: resolveTimeouts([route.timeouts, backend?.timeouts, defaults.timeouts]),
    rateLimits: statesRateLimits(route)
      ? resolveRateLimits(route, { id: `route:${id}`, name: "route", multiplier: 1, multipliers: [1] })
      : resolveRateLimits(defaults, { id: "default", name: "default", multiplier, multipliers: defaults.multipliers }),
    circuitBreaker: undefined,
  };
}

/** Of the routes under the top level's limits, which all count in one unit. */
function sharedMultipliers({ routes = [] }: ConfigInput): readonly number[] {
  return routes.filter((route) => !statesRateLimits(route)).map((route) => route.rateLimitMultiplier ?? 1);
}
