import type { LiveSession } from "../live-session.ts";
import { placesOf } from "../places.ts";
import { abortAfter, forget, renew, type RelayHost } from "../relay-host.ts";
import { createHeldRelay, type HeldRelay } from "./held-relay.ts";

/** Has an object hold a session, whose client and upstream may each be away. */
export function createHeldMode(host: RelayHost): HeldRelay {
  const { ctx, env, registration, sessions } = host;
  let over: PromiseWithResolvers<void> | undefined;
  let told: Promise<unknown> = Promise.resolve();
  const changed = (session: LiveSession) => ctx.waitUntil(registration.opened(session.describe()));
  return createHeldRelay({
    storage: ctx.storage,
    dialler: host.dialler,
    places: (opening) => placesOf(opening, env),
    began(session) {
      sessions.set(session.describe().id, session);
      // It may have neither a client nor an upstream for a while.
      over = Promise.withResolvers();
      ctx.waitUntil(over.promise);
      changed(session);
    },
    changed,
    renew: (session, places, now) => renew(host, { sessions: [session.describe()], places: [places] }, now),
    ended(id, places, keptMs) {
      forget(host, id);
      told = Promise.all([registration.closed(id), places.leave()]);
      ctx.waitUntil(told);
      setTimeout(over?.resolve ?? (() => undefined), keptMs);
    },
    abort: () => abortAfter(host, told),
  });
}
