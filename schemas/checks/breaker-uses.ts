import type { Backend, BreakerSettings } from "../backend-types.ts";
import type { Config, Route } from "../config-types.ts";
import type { ConfigInput } from "../config.ts";
import type { Path } from "../document/path.ts";

/** Breaker settings in use, where they are written, and the backend whose targets they hold for. */
export interface BreakerUse {
  readonly path: Path;
  readonly settings: BreakerSettings;
  readonly backend: Backend;
  /** Whose requests: an index; undefined: those that come as a fallback. */
  readonly route: number | undefined;
}

/** Every use of a breaker: by each route, and by each backend that stands in for another. */
export function breakerUses(input: ConfigInput, config: Config): readonly BreakerUse[] {
  const { routes, backends } = config;
  const byRoutes = waysOf(routes).flatMap(({ index, way: { circuitBreaker: settings, backend: name } }) => {
    const backend = backends.get(name);
    if (settings === undefined || backend === undefined) return [];
    const isOwn = input.routes?.[index]?.circuitBreaker !== undefined;
    const path = isOwn ? ["routes", index, "circuitBreaker"] : pathOfBackend(input, name);
    return [{ path, settings, backend, route: index }];
  });
  const asFallbacks = [...fallbackNames(config)].flatMap((name) => {
    const backend = backends.get(name);
    const settings = backend?.circuitBreaker;
    if (backend === undefined || settings === undefined) return [];
    return [{ path: pathOfBackend(input, name), settings, backend, route: undefined }];
  });
  return [...byRoutes, ...asFallbacks];
}

/** Every route with each backend that its requests may go to, and its place in the document. */
export function waysOf(routes: readonly Route[]): readonly { readonly index: number; readonly way: Route }[] {
  return routes.flatMap((route, index) => [route, ...route.alternatives].map((way) => ({ index, way })));
}

/** Backends that a request may come to as a fallback; from there it goes no further. */
export function fallbackNames({ routes }: Config): ReadonlySet<string> {
  const names = waysOf(routes).map(({ way: { circuitBreaker } }) =>
    circuitBreaker?.fallback?.kind === "backend" ? circuitBreaker.fallback.backend : undefined,
  );
  return new Set(names.filter((name) => name !== undefined));
}

function pathOfBackend({ backends = {} }: ConfigInput, name: string): Path {
  return backends[name]?.circuitBreaker === undefined ? ["circuitBreaker"] : ["backends", name, "circuitBreaker"];
}
