import type { Config } from "../../../schemas/index.ts";

/** By what the gateway can tell how a target is, and what an operator's order reaches. */
export interface Watched {
  /** Some request meets its breaker. */
  readonly byBreaker: boolean;
  /** Some backend has it probed. */
  readonly byHealthCheck: boolean;
  /** Some backend could choose another instead, so that it matters whether it drains. */
  readonly byChoice: boolean;
}

/** Whether any target has an owner. */
export function isAnyWatched(config: Config): boolean {
  return [...watchedTargets(config).values()].some(isWatched);
}

/** Whether somebody owns such a target. */
export function isWatched({ byBreaker, byHealthCheck, byChoice }: Watched): boolean {
  return byBreaker || byHealthCheck || byChoice;
}

/** Nobody owns such a target. */
export const UNWATCHED: Watched = { byBreaker: false, byHealthCheck: false, byChoice: false };

/** Of each target by its URL, whatever backends share it. Whoever is watched by nothing has no owner. */
export function watchedTargets(config: Config): ReadonlyMap<string, Watched> {
  const guarded = guardedBackends(config);
  const watched = new Map<string, Watched>();
  for (const { name, targets, healthCheck } of config.backends.values()) {
    for (const { url } of targets) {
      const known = watched.get(url);
      watched.set(url, {
        byBreaker: known?.byBreaker === true || guarded.has(name),
        byHealthCheck: known?.byHealthCheck === true || healthCheck !== undefined,
        byChoice: known?.byChoice === true || targets.length > 1,
      });
    }
  }
  return watched;
}

/** Those whose targets some request meets by a breaker: by its route's, or by their own when they stand in for another. */
function guardedBackends({ routes, backends }: Config): ReadonlySet<string> {
  const guarded = new Set<string>();
  for (const { backend, circuitBreaker } of routes.flatMap((route) => [route, ...route.alternatives])) {
    if (circuitBreaker === undefined) continue;
    guarded.add(backend);
    const { fallback } = circuitBreaker;
    if (fallback?.kind !== "backend") continue;
    // Nobody stands in for one that stands in.
    if (backends.get(fallback.backend)?.circuitBreaker !== undefined) guarded.add(fallback.backend);
  }
  return guarded;
}
