import { MAX_DRAINED, type DrainedRoutes } from "./registry-messages.ts";

/** Orders that let routes have no new sessions. They are stored, since the operator was told that they hold; before the first nothing is. */
export interface DrainOrders {
  /** As they are stored, some of which may have run out; undefined: there are none. */
  readonly routes: DrainedRoutes | undefined;
  /**
   * Lets a route have no new sessions for so long; 0: it has them again. Nothing leaves the object before that is durable. Throws a
   * TypeError where there are a hundred more already than an operator may give.
   */
  give(route: string, now: number, forMs: number): void;
  /** Deletes what has run out; writes nothing where nothing has. */
  sweep(now: number): void;
}

/** An order that only some shards have would be worse than none: who gives them counts, and those that cross each other all have room. */
const MOST_ROUTES = MAX_DRAINED + 100;
const NAME = "drained";

/** Opens the storage of an object, and reads it. */
export function openDrainOrders({ kv }: DurableObjectStorage): DrainOrders {
  let routes = kv.get<DrainedRoutes>(NAME);

  function left(now: number): Map<string, { readonly since: number; readonly until: number }> {
    return new Map([...(routes ?? [])].filter(([, { until }]) => until > now));
  }

  function keep(some: DrainedRoutes): void {
    if (some.size > 0) kv.put(NAME, some);
    else if (routes !== undefined) kv.delete(NAME);
    routes = some.size > 0 ? some : undefined;
  }

  return {
    get routes() {
      return routes;
    },
    give(route, now, forMs) {
      const some = left(now);
      some.delete(route);
      if (forMs > 0) {
        if (some.size >= MOST_ROUTES) {
          throw new TypeError(`cannot give the order: ${some.size} routes take no new sessions already; take one back`);
        }
        some.set(route, { since: now, until: now + forMs });
      }
      keep(some);
    },
    sweep(now) {
      if (routes === undefined) return;
      const some = left(now);
      if (some.size < routes.size) keep(some);
    },
  };
}
