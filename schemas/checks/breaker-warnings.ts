import type { Config, ConfigWarning } from "../config-types.ts";
import type { ConfigInput } from "../config.ts";
import type { Path } from "../document/path.ts";
import { warning } from "../document/warning.ts";
import type { CircuitBreakerInput } from "../policies/backends/circuit-breaker.ts";
import { formatMs } from "../values/duration.ts";
import { breakerUses } from "./breaker-uses.ts";

/** What breakers say that has no effect, or keeps them from closing. */
export function breakerWarnings(input: ConfigInput, config: Config): readonly ConfigWarning[] {
  const ofRoutes = (input.routes ?? []).flatMap((route, index) => idleFields(["routes", index], route.circuitBreaker));
  const ofBackends = Object.entries(input.backends ?? {}).flatMap(([name, backend]) =>
    idleFields(["backends", name], backend.circuitBreaker),
  );
  return [...idleFields([], input.circuitBreaker), ...ofRoutes, ...ofBackends, ...shortProbes(input, config)];
}

function idleFields(level: Path, policy: CircuitBreakerInput | undefined): readonly ConfigWarning[] {
  if (typeof policy !== "object" || policy.enabled === false) return [];
  const { shadow, fallback, slowCall, slowCallRate } = policy;
  const warnings: ConfigWarning[] = [];
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

/** Breakers whose probes fail for being as slow as their requests may be. */
function shortProbes(input: ConfigInput, config: Config): readonly ConfigWarning[] {
  const found = new Map<string, ConfigWarning>();
  for (const { path, settings, route } of breakerUses(input, config)) {
    const timeouts = route === undefined ? undefined : config.routes[route]?.timeouts;
    if (timeouts === undefined) continue;
    const longest = Math.min(timeouts.headers, timeouts.total);
    const probe = settings.policy.operationTimeoutMs;
    if (probe >= longest) continue;
    const message = `${formatMs(probe)} is less than the ${formatMs(longest)} that requests of routes[${route}] may take: a target that answers in between fails every probe, and its breaker does not close`;
    const one = warning([...path, "operationTimeout"], message);
    if (!found.has(one.path)) found.set(one.path, one);
  }
  return [...found.values()];
}
