import type { Backend, GeoPolicy, Route } from "../../schemas/index.ts";
import { formatPlace } from "../../schemas/values/place.ts";
import type { Exchange, Placement } from "../exchange.ts";
import { watchBackend, type BackendWatch } from "./backend-watch.ts";
import { compileGeography } from "./geography.ts";

/** Where a rule sends requests. */
interface Destination {
  /** As the log has it: the rule's place, or `default`. */
  readonly place: string;
  /** Undefined: it is the route's own backend. */
  readonly placement: Placement | undefined;
  readonly watch: BackendWatch | undefined;
}

/**
 * Compiles where requests of a route go by where they come from: to the backend of the most specific rule that has a usable one, else to
 * the route's own; where none is usable, to that of the most specific rule, which then says so.
 */
export function compileLocating(
  { rules }: GeoPolicy,
  route: Route,
  backends: ReadonlyMap<string, Backend>,
): (exchange: Exchange, now: number) => Placement | undefined {
  const watches = new Map(
    [route, ...route.alternatives].map((way) => {
      const backend = backends.get(way.backend);
      return [way.backend, backend === undefined ? undefined : watchBackend(way, backend)];
    }),
  );
  const isWatched = [...watches.values()].some((watch) => watch !== undefined);
  const to = (place: string, backend: string): Destination => ({
    place,
    placement: backend === route.backend ? undefined : { backend },
    watch: watches.get(backend),
  });
  const geography = compileGeography(
    rules.map(({ place, backend }) => ({ place, value: to(formatPlace(place), backend) })),
    to("default", route.backend),
  );

  return function locate(exchange, now) {
    const whereabouts = exchange.request.cf;
    const usable = isWatched ? geography.find(whereabouts, ({ watch }) => isUsable(watch, exchange, now)) : undefined;
    const found = usable ?? geography.find(whereabouts);
    exchange.notes.place = found?.place ?? "default";
    return found?.placement;
  };
}

function isUsable(watch: BackendWatch | undefined, exchange: Exchange, now: number): boolean {
  if (watch === undefined || watch.isUsable(now)) return true;
  watch.lookAfter(exchange, now);
  return false;
}
