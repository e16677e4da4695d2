import type { RoutePath } from "../../schemas/index.ts";

/** Maps a canonical path and query to the URL at the target. */
export type TargetUrl = (path: string, query: string) => string;

/**
 * Compiles how a route's requests are addressed at a target. A prefix is stripped and what remains is joined to the
 * target's own path without a double slash; a pattern strips nothing. Path escapes and query order stay as they came.
 */
export function compileTargetUrl(route: RoutePath, target: string): TargetUrl {
  const { origin, pathname } = new URL(target);
  const base = pathname.replace(/\/+$/, "");
  const strip = strippedLength(route);
  const whole = origin + (base === "" ? "" : base);
  return (path, query) => {
    const rest = path.slice(strip);
    // The prefix alone means the target alone, with the slash its owner wrote or left out.
    if (rest === "") return origin + pathname + query;
    return whole + rest + query;
  };
}

/** How many characters of a matching path belong to the route; what follows them is joined to the target. */
export function strippedLength(route: RoutePath): number {
  return route.kind === "prefix" ? route.value.replace(/\/+$/, "").length : 0;
}
