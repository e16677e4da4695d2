import type { Backend, Route } from "../../schemas/index.ts";
import { FIRST_SEED, stableHash } from "../stable-hash.ts";

/**
 * Tells whether sessions of a route would be opened otherwise by another configuration: with other settings, for other requests, or to
 * other targets. Weights, limits of requests and whatever else a session has behind it don't matter.
 */
export function routeMark(route: Route, backends: ReadonlyMap<string, Backend>): string {
  const { path, hosts, webSocket, alternatives } = route;
  const targets = [route, ...alternatives].map(({ backend }) => backends.get(backend)?.targets.map(({ url }) => url));
  const text = JSON.stringify([path, hosts, webSocket, targets]);
  // Two seeds: 64 bits.
  return [FIRST_SEED, 1].map((seed) => (stableHash(text, seed) >>> 0).toString(36)).join(".");
}
