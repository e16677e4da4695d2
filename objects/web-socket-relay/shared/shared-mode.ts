import type { SharedTerms } from "../mode-terms.ts";
import type { Opening } from "../opening.ts";
import type { Places } from "../places.ts";
import { notOpened } from "../refused.ts";
import { forget, renew, type RelayHost } from "../relay-host.ts";
import { createSharedRelay } from "./shared-relay.ts";

/** What a client asks for that is to share a connection. */
interface SharedAsk {
  readonly opening: Opening;
  readonly shared: SharedTerms;
  /** That it has taken. */
  readonly places: Places;
}

/** Takes in whoever comes for the one upstream connection of an object. */
export interface SharedMode {
  open(request: Request, ask: SharedAsk): Promise<Response>;
}

/** Has many clients of an object share a connection. */
export function createSharedMode(host: RelayHost): SharedMode {
  const { ctx, registration } = host;
  const taken = new Map<string, Places>();
  const relay = createSharedRelay({
    ended(id) {
      forget(host, id);
      ctx.waitUntil(Promise.all([registration.closed(id), taken.get(id)?.leave()]));
      taken.delete(id);
    },
    renew: (sessions, now) => renew(host, { sessions, places: [...taken.values()] }, now),
    abort: () => ctx.abort("clients did not answer a close"),
  });
  return {
    async open(request, { opening, shared, places }) {
      const { session: id, client, ...anyone } = opening;
      // Who speaks for anyone speaks for no client.
      const send = host.dialler(shared.isForAnyone ? anyone : { ...anyone, client });
      const joined = await relay.join(request, opening, { shared, send });
      if (joined.kind !== "joined") return notOpened(joined);
      const { session, socket, headers } = joined;
      taken.set(id, places);
      host.sessions.set(id, session);
      ctx.waitUntil(registration.opened(session.describe()));
      headers.set("x-ws-session", id);
      return new Response(null, { status: 101, webSocket: socket, headers });
    },
  };
}
