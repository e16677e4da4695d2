import type { Config, ConfigWarning } from "../config-types.ts";
import type { ConfigInput } from "../config.ts";
import type { Path } from "../document/path.ts";
import { warning } from "../document/warning.ts";
import type { CircuitBreakerInput } from "../policies/backends/circuit-breaker.ts";
import { DEFAULT_TIMEOUTS } from "../policies/timeouts.ts";
import { formatMs } from "../values/duration.ts";
import { breakerUses } from "./breaker-uses.ts";

/** What breakers say that has no effect, or one that is easily overlooked. */
export function breakerWarnings(input: ConfigInput, config: Config): readonly ConfigWarning[] {
  const ofRoutes = (input.routes ?? []).flatMap((route, index) => idleFields(["routes", index], route.circuitBreaker));
  const ofBackends = Object.entries(input.backends ?? {}).flatMap(([name, backend]) =>
    idleFields(["backends", name], backend.circuitBreaker),
  );
  return [...idleFields([], input.circuitBreaker), ...ofRoutes, ...ofBackends, ...shortCalls(input, config)];
}

function idleFields(level: Path, policy: CircuitBreakerInput | undefined): readonly ConfigWarning[] {
  if (typeof policy !== "object" || policy.enabled === false) return [];
  const { shadow, fallback, slowCall, slowCallRate, failureStatuses = [] } = policy;
  const warnings: ConfigWarning[] = [];
  // A class takes it along and is no mistake.
  if (failureStatuses.includes(429) && !failureStatuses.includes(499)) {
    const message = "a 429 asks for less, and is no failure even where it is listed";
    warnings.push(warning([...level, "circuitBreaker", "failureStatuses"], message));
  }
  if (shadow === true && fallback !== undefined) {
    const message = "a shadowed breaker refuses nothing, so nothing needs a fallback";
    warnings.push(warning([...level, "circuitBreaker", "fallback"], message));
  }
  if (slowCall !== undefined && slowCallRate === undefined) {
    const message = 'without "slowCallRate" below 1 slow calls do not open the breaker';
    warnings.push(warning([...level, "circuitBreaker", "slowCall"], message));
  }
  return warnings;
}

/** Breakers that give up sooner than the deadlines say. */
function shortCalls(input: ConfigInput, config: Config): readonly ConfigWarning[] {
  const found = new Map<string, ConfigWarning>();
  for (const { path, settings, route } of breakerUses(input, config)) {
    const timeouts = route === undefined || settings.shadow ? undefined : config.routes[route]?.timeouts;
    if (timeouts === undefined) continue;
    const longest = Math.min(timeouts.headers, timeouts.total);
    const call = settings.policy.operationTimeoutMs;
    // Beside deadlines that nobody chose, a shorter one was.
    if (call >= longest || longest === DEFAULT_TIMEOUTS.headers) continue;
    const message = `${formatMs(call)} is less than the ${formatMs(longest)} of timeouts on routes[${route}]: a call that takes longer has failed`;
    const one = warning([...path, "operationTimeout"], message);
    if (!found.has(one.path)) found.set(one.path, one);
  }
  return [...found.values()];
}
