import type { BackendInput } from "./backends.ts";
import { resolveClientIp } from "./client-ip.ts";
import type { Backend, Config, Route } from "./config-types.ts";
import type { ConfigInput } from "./config.ts";
import { resolveAdmin, resolveEndpoints } from "./endpoints.ts";
import { resolveLogging } from "./policies/logging.ts";
import { resolveRateLimits, statesRateLimits } from "./policies/rate-limit.ts";
import { resolveSizeLimits } from "./policies/size-limits.ts";
import { resolveTimeouts } from "./policies/timeouts.ts";
import { deriveRouteId, resolveMatch } from "./routes/route-match.ts";
import type { RouteInput } from "./routes/route.ts";

/** Fills in every default and hands the top-level policies down to the routes that have none of their own. */
export function resolveConfig(input: ConfigInput): Config {
  const named = new Map(Object.entries(input.backends ?? {}));
  const routes = (input.routes ?? []).map((route) => resolveRoute(route, input, named));
  const inline = (input.routes ?? []).flatMap((route, index): readonly Backend[] => {
    const name = routes[index]?.backend;
    return route.target === undefined || name === undefined
      ? []
      : [{ name, targets: [{ url: route.target, weight: 1 }] }];
  });
  const backends = [...[...named].map(([name, backend]) => resolveBackend(name, backend)), ...inline];
  return {
    routes,
    backends: new Map(backends.map((backend) => [backend.name, backend])),
    clientIp: resolveClientIp(input.clientIp),
    admin: resolveAdmin(input.admin),
    endpoints: resolveEndpoints(input.endpoints),
    logging: resolveLogging(input.logging),
    allowPrivateTargets: input.allowPrivateTargets ?? false,
  };
}

function resolveRoute(route: RouteInput, defaults: ConfigInput, backends: ReadonlyMap<string, BackendInput>): Route {
  const match = resolveMatch(route);
  if (match === undefined) throw new Error("a route without a path passed validation");
  const id = route.id ?? deriveRouteId(match);
  const backend = route.backend === undefined ? undefined : backends.get(route.backend);
  return {
    ...match,
    id,
    backend: route.backend ?? `route:${id}`,
    sizeLimits: resolveSizeLimits(route.sizeLimits ?? defaults.sizeLimits),
    timeouts: resolveTimeouts([route.timeouts, backend?.timeouts, defaults.timeouts]),
    rateLimits: statesRateLimits(route)
      ? resolveRateLimits(route, `route:${id}`, "route")
      : resolveRateLimits(defaults, "default", "default"),
  };
}

function resolveBackend(name: string, { targets }: BackendInput): Backend {
  return { name, targets: targets.map(({ url, weight }) => ({ url, weight: weight ?? 1 })) };
}
