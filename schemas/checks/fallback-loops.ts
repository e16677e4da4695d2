import type { BreakerSettings } from "../backend-types.ts";
import type { Config, ConfigProblem } from "../config-types.ts";
import type { ConfigInput } from "../config.ts";
import { quote } from "../document/describe-value.ts";
import { formatPath, type Path } from "../document/path.ts";

/** Fallbacks that lead back to the backend that they stand in for. */
export function fallbackLoops(input: ConfigInput, { routes, backends }: Config): readonly ConfigProblem[] {
  const ofRoutes = routes.map(({ circuitBreaker, backend }, index) => {
    const isOwn = input.routes?.[index]?.circuitBreaker !== undefined;
    return isOwn ? loop(["routes", index], backend, circuitBreaker, backends) : undefined;
  });
  const ofBackends = Object.entries(input.backends ?? {}).map(([name, written]) => {
    const isOwn = written.circuitBreaker !== undefined;
    return isOwn ? loop(["backends", name], name, backends.get(name)?.circuitBreaker, backends) : undefined;
  });
  return [...ofRoutes, ...ofBackends].filter((problem) => problem !== undefined);
}

function loop(
  level: Path,
  start: string,
  settings: BreakerSettings | undefined,
  backends: Config["backends"],
): ConfigProblem | undefined {
  const way = [start];
  for (let next = nextOf(settings); next !== undefined; next = nextOf(backends.get(next)?.circuitBreaker)) {
    const isKnown = way.includes(next);
    way.push(next);
    if (next === start) {
      return {
        path: formatPath([...level, "circuitBreaker", "fallback", "backend"]),
        got: quote(way[1] ?? ""),
        wanted: `a backend that does not lead back to the one that it stands in for (${way.join(" -> ")})`,
      };
    }
    // A loop further on is told where it begins.
    if (isKnown) return undefined;
  }
  return undefined;
}

function nextOf(settings: BreakerSettings | undefined): string | undefined {
  return settings?.fallback?.kind === "backend" ? settings.fallback.backend : undefined;
}
