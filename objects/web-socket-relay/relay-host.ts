import type { Dialler, DialProps } from "./dial.ts";
import type { LiveSession } from "./live-session.ts";
import type { Places } from "./places.ts";
import type { Registration } from "./registration.ts";
import type { RouteWatch } from "./route-watch.ts";
import type { SessionDescription } from "./session-control.ts";

/** What an object has for its sessions, whatever their mode. Plain data and no methods: there is one to each bridge. */
export interface RelayHost {
  readonly ctx: DurableObjectState;
  readonly env: Env;
  /** Those that can be asked and ordered, by id; one that sleeps is not among them. */
  readonly sessions: Map<string, LiveSession>;
  readonly registration: Registration;
  readonly routeWatch: RouteWatch;
  readonly dialler: (props: DialProps) => Dialler;
}

/** Keeps what sessions have that are still there: their entries, their places, and the look at their route. To be called every ten seconds. */
export function renew(
  { ctx, registration, routeWatch }: RelayHost,
  { sessions, places }: { readonly sessions: readonly SessionDescription[]; readonly places: readonly Places[] },
  now: number,
): void {
  const kept = places.map((one) => one.keep(now));
  ctx.waitUntil(Promise.all([registration.renew(sessions, now), routeWatch.look(now), ...kept]));
}

/** Forgets a session that has ended. */
export function forget({ sessions, routeWatch }: RelayHost, id: string): void {
  sessions.delete(id);
  routeWatch.drop(id);
}

/** Drops a client that did not answer a close, once what there is to be told of its session has been told. */
export function abortAfter({ ctx }: RelayHost, told: Promise<unknown>): void {
  ctx.waitUntil(told.then(() => ctx.abort("a client did not answer a close")));
}
