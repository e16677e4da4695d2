import type { BreakerSettings } from "../backend-types.ts";
import type { Config, ConfigProblem } from "../config-types.ts";
import type { ConfigInput } from "../config.ts";
import { quote } from "../document/describe-value.ts";
import { formatPath, type Path } from "../document/path.ts";

/**
 * Backends that are to stand in for themselves. Two may stand in for each other: a request meets one fallback at most, so it
 * does not go round.
 */
export function ownFallbacks(input: ConfigInput, { routes, backends }: Config): readonly ConfigProblem[] {
  const ofRoutes = routes.flatMap(({ circuitBreaker, backend }, index) =>
    input.routes?.[index]?.circuitBreaker === undefined ? [] : ownFallback(["routes", index], backend, circuitBreaker),
  );
  const ofBackends = Object.entries(input.backends ?? {}).flatMap(([name, written]) =>
    written.circuitBreaker === undefined
      ? []
      : ownFallback(["backends", name], name, backends.get(name)?.circuitBreaker),
  );
  return [...ofRoutes, ...ofBackends];
}

function ownFallback(level: Path, name: string, settings: BreakerSettings | undefined): readonly ConfigProblem[] {
  if (settings?.fallback?.kind !== "backend" || settings.fallback.backend !== name) return [];
  const path = formatPath([...level, "circuitBreaker", "fallback", "backend"]);
  return [{ path, got: quote(name), wanted: "another backend than the one that it stands in for" }];
}
