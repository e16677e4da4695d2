import type { Config, ConfigWarning, Route } from "../../schemas/index.ts";
import { compileClientReader, type ClientReader } from "../client.ts";
import type { Handler } from "../exchange.ts";
import { compileRoutes, type RouteMatcher } from "../routing/compile-routes.ts";
import { chain, tail } from "../steps/index.ts";
import { routeMark } from "../web-socket/route-mark.ts";

/** A route with what it does to a request. */
export interface CompiledRoute {
  readonly route: Route;
  readonly handle: Handler;
  /** The part of `handle` behind every policy about the client. */
  readonly tail: Handler;
  /** Of its WebSockets, as `routeMark` says; null: it has none. */
  readonly mark: string | null;
}

/** A validated configuration, ready to serve. Immutable: a new version is a new value. */
export interface ActiveConfig {
  readonly version: number;
  readonly source: ConfigSource;
  readonly config: Config;
  readonly warnings: readonly ConfigWarning[];
  /** The document as its author wrote it, JSON or JSONC. */
  readonly text: string;
  readonly matcher: RouteMatcher<CompiledRoute>;
  readonly routes: ReadonlyMap<string, CompiledRoute>;
  readonly clientOf: ClientReader;
}

export type ConfigSource = "default" | "file" | "kv";

export interface ConfigOrigin {
  readonly version: number;
  readonly source: ConfigSource;
  readonly text: string;
  readonly warnings: readonly ConfigWarning[];
  readonly platform: "cloudflare" | "socket";
}

/** Composes everything that serving needs, once. */
export function compileConfig(config: Config, origin: ConfigOrigin): ActiveConfig {
  const { routes, backends, limiter } = config;
  const compiled = routes.map((route): CompiledRoute => {
    const mark = route.webSocket === undefined ? null : routeMark(route, backends);
    const handle = chain(route, backends, { limiter, mark });
    return { route, handle, tail: tail(route, backends), mark };
  });
  return {
    version: origin.version,
    source: origin.source,
    config,
    warnings: origin.warnings,
    text: origin.text,
    matcher: compileRoutes(compiled.map((entry) => ({ route: entry.route, entry }))),
    routes: new Map(compiled.map((entry) => [entry.route.id, entry])),
    clientOf: compileClientReader(config.clientIp ?? { source: origin.platform }, origin.platform),
  };
}
