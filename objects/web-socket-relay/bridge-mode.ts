import { dial } from "./dial.ts";
import { openSession } from "./live-session.ts";
import type { Opening } from "./opening.ts";
import type { Places } from "./places.ts";
import { notOpened } from "./refused.ts";
import { LATER_MS } from "./registration.ts";
import { abortAfter, forget, renew, type RelayHost } from "./relay-host.ts";

/** Opens a session that is two connections and ends with either: a bridge, or a splice. @param places that it has taken. */
export async function openBridge(
  host: RelayHost,
  request: Request,
  { opening, places }: { readonly opening: Opening; readonly places: Places },
): Promise<Response> {
  const dialled = await dial(request, opening, host.dialler(opening));
  if (dialled.kind !== "open") return notOpened(dialled);
  const { session: id } = opening;
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const parts = { opening, dialled, origin: request.headers.get("origin") };
  let isSilent = false;
  const { session, socket } = openSession(parts, {
    // A bridge has its object to itself.
    abort: () => (isSilent = true),
    renew: (now) => renew(host, { sessions: [session.describe()], places: [places] }, now),
    ended: () => {
      forget(host, id);
      const told = Promise.all([host.registration.closed(id, isSilent ? 0 : LATER_MS), places.leave()]);
      if (isSilent) abortAfter(host, told);
      else host.ctx.waitUntil(told);
      resolve();
    },
  });
  host.sessions.set(id, session);
  // Behind the 101, which would else wait for it: a report is a quarter of what a handshake costs.
  setTimeout(() => {
    // What has ended is not to be listed after that.
    if (host.sessions.has(id)) host.ctx.waitUntil(host.registration.opened(session.describe()));
  }, 0);
  // An object that has nothing but a splice would be evicted after ten seconds, and nobody could cut it any more.
  host.ctx.waitUntil(over);
  dialled.headers.set("x-ws-session", id);
  return new Response(null, { status: 101, webSocket: socket ?? null, headers: dialled.headers });
}
