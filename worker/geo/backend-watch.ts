import { targetBreaker } from "../backends/target-breaker.ts";
import { targetState, targetTerms } from "../backends/target.ts";
import { watchTargets } from "../backends/watch-targets.ts";
import type { Exchange } from "../exchange.ts";
import type { Backend, Route } from "../../schemas/index.ts";

/** Whether a backend may be had, as far as this isolate knows. */
export interface BackendWatch {
  /** Whether one of its targets is well and would be asked. */
  isUsable(now: number): boolean;
  /** Sees to it that one hears of its being usable again, though no request goes there: whoever passes it by has to call this. */
  lookAfter(exchange: Exchange, now: number): void;
}

/**
 * Compiles how the backend of a way is watched.
 *
 * @returns undefined where nothing tells that it can't be had.
 */
export function watchBackend({ circuitBreaker }: Route, backend: Backend): BackendWatch | undefined {
  const { healthCheck } = backend;
  if (circuitBreaker === undefined && healthCheck === undefined) return undefined;
  const targets = backend.targets.map(({ url, weight }) => {
    const state = targetState(url);
    const breaker = circuitBreaker === undefined ? undefined : targetBreaker(state, backend, circuitBreaker);
    return { state, breaker, weight, terms: targetTerms(url, backend) };
  });
  return {
    isUsable: (now) =>
      targets.some(
        ({ state, breaker, weight }) =>
          weight > 0 &&
          breaker?.isRefusing(now) !== true &&
          (healthCheck === undefined || state.downSince === undefined),
      ),
    lookAfter(exchange, now) {
      for (const { breaker } of targets) breaker?.lookAfter(exchange, now);
      if (healthCheck !== undefined) watchTargets(exchange, targets, now);
    },
  };
}
