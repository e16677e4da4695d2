import type { DrainedRoutes } from "../socket-registry/registry-messages.ts";

/** As the registry said last to any object of this isolate. */
let drained: DrainedRoutes = new Map();

/** Takes in which routes are drained. */
export function noteDrained(routes: DrainedRoutes | undefined): void {
  drained = routes ?? new Map();
}

/** Until when a route takes no session that is opened then; undefined: it does. */
export function drainedUntil(route: string, openedAt: number): number | undefined {
  const order = drained.get(route);
  return order !== undefined && openedAt >= order.since && openedAt < order.until ? order.until : undefined;
}
