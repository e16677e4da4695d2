import type { Backend } from "./backend-types.ts";
import { beside, resolveBackend, type BackendDefaults, type BackendInput } from "./backends.ts";
import { resolveClientIp } from "./client-ip.ts";
import type { Config, Route, Timeouts } from "./config-types.ts";
import type { ConfigInput } from "./config.ts";
import { batchPath, resolveAdmin, resolveEndpoints } from "./endpoints.ts";
import { resolveCache } from "./policies/cache.ts";
import { resolveBatch } from "./policies/batch.ts";
import { resolveCanary } from "./policies/canary.ts";
import { resolveDeduplication } from "./policies/deduplication.ts";
import { resolveBreaker } from "./policies/backends/circuit-breaker.ts";
import { resolveConcurrency } from "./policies/backends/concurrency.ts";
import { resolveRetry } from "./policies/backends/retry.ts";
import { resolveGeo } from "./policies/geo.ts";
import { resolveIdempotency } from "./policies/idempotency.ts";
import { resolveLimiter } from "./policies/limiter.ts";
import { resolveLogging } from "./policies/logging.ts";
import { resolveMirror } from "./policies/mirror.ts";
import { resolvePriority } from "./policies/priority.ts";
import { resolveRateLimits, statesRateLimits } from "./policies/rate-limit/resolve.ts";
import { resolveSizeLimits } from "./policies/size-limits.ts";
import { resolveTimeouts } from "./policies/timeouts.ts";
import { resolveWebSocket } from "./policies/web-socket.ts";
import { deriveRouteId, resolveMatch } from "./routes/route-match.ts";
import type { RouteInput } from "./routes/route.ts";

/** Fills in every default and hands the top-level policies down to the routes that have none of their own. */
export function resolveConfig(input: ConfigInput): Config {
  const written = new Map(Object.entries(input.backends ?? {}));
  const shared = {
    circuitBreaker: resolveBreaker(input.circuitBreaker),
    retry: resolveRetry(input.retry),
    concurrency: resolveConcurrency(input.concurrency),
  };
  const named = [...written].map(([name, backend]) => resolveBackend(name, backend, shared));
  const backends = new Map(named.map((backend) => [backend.name, backend]));
  const defaults = { input, multipliers: sharedMultipliers(input), written, backends, shared };
  return {
    routes: (input.routes ?? []).map((route) => resolveRoute(route, defaults)),
    backends,
    clientIp: resolveClientIp(input.clientIp),
    admin: resolveAdmin(input.admin),
    endpoints: resolveEndpoints(input.endpoints),
    logging: resolveLogging(input.logging),
    limiter: resolveLimiter(input.limiter),
    batch: resolveBatch(input.batch, batchPath(input.endpoints)),
    allowPrivateTargets: input.allowPrivateTargets ?? false,
  };
}

/** What a route has from elsewhere. */
interface Defaults {
  /** The top level. */
  readonly input: ConfigInput;
  readonly multipliers: readonly number[];
  readonly written: ReadonlyMap<string, BackendInput>;
  /** Takes up what routes with a `target` of their own bring. */
  readonly backends: Map<string, Backend>;
  readonly shared: BackendDefaults;
}

function resolveRoute(route: RouteInput, defaults: Defaults): Route {
  const { input, multipliers } = defaults;
  const match = resolveMatch(route);
  if (match === undefined) throw new Error("a route without a path passed validation");
  const id = route.id ?? deriveRouteId(match);
  const { rateLimitMultiplier: multiplier = 1 } = route;
  const backend = backendOf(route, id, defaults);
  const geo = resolveGeo(route.geo ?? input.geo);
  const canary = resolveCanary(route.canary ?? input.canary, id);
  const own: Route = {
    ...match,
    id,
    backend: backend.name,
    alternatives: [],
    sizeLimits: resolveSizeLimits(route.sizeLimits ?? input.sizeLimits),
    timeouts: timeoutsAt(backend.name),
    rateLimits: statesRateLimits(route)
      ? resolveRateLimits(route, { id: `route:${id}`, name: "route", multiplier: 1, multipliers: [1] })
      : resolveRateLimits(input, { id: "default", name: "default", multiplier, multipliers }),
    circuitBreaker: route.circuitBreaker === undefined ? backend.circuitBreaker : resolveBreaker(route.circuitBreaker),
    cache: resolveCache(route.cache ?? input.cache),
    deduplication: resolveDeduplication(route.deduplication ?? input.deduplication),
    idempotency: resolveIdempotency(route.idempotency ?? input.idempotency),
    geo,
    canary,
    webSocket: resolveWebSocket(route.webSocket ?? input.webSocket, id),
    priority: resolvePriority(route.priority ?? input.priority),
    mirror: resolveMirror(route.mirror ?? input.mirror, backend.name),
  };
  const others = new Set([...(geo?.rules ?? []), ...(canary?.variants ?? [])].map((one) => one.backend));
  others.delete(own.backend);
  return { ...own, alternatives: [...others].map(placedAt) };

  function timeoutsAt(name: string): Timeouts {
    return resolveTimeouts([route.timeouts, defaults.written.get(name)?.timeouts, input.timeouts]);
  }

  function placedAt(name: string): Route {
    const { circuitBreaker } = defaults.backends.get(name) ?? own;
    return {
      ...own,
      backend: name,
      timeouts: { ...timeoutsAt(name), total: own.timeouts.total },
      circuitBreaker: route.circuitBreaker === undefined ? circuitBreaker : beside(name, own.circuitBreaker),
    };
  }
}

function backendOf(route: RouteInput, id: string, { backends, shared }: Defaults): Backend {
  const named = route.backend === undefined ? undefined : backends.get(route.backend);
  if (named !== undefined) return named;
  if (route.target === undefined) throw new Error("a route without a backend passed validation");
  const input = { targets: [{ url: route.target }], circuitBreaker: route.circuitBreaker };
  const own = resolveBackend(`route:${id}`, input, shared);
  backends.set(own.name, own);
  return own;
}

/** Of the routes under the top level's limits, which all count in one unit. */
function sharedMultipliers({ routes = [] }: ConfigInput): readonly number[] {
  return routes.filter((route) => !statesRateLimits(route)).map((route) => route.rateLimitMultiplier ?? 1);
}
