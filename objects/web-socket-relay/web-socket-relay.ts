import { DurableObject } from "cloudflare:workers";
import { dial } from "./dial.ts";
import { openSession, type LiveSession } from "./live-session.ts";
import { OPENING, readOpening, REFUSAL, toField, type Opening, type Refusal } from "./opening.ts";
import { placesOf, type Places } from "./places.ts";
import { createRegistration } from "./registration.ts";
import type { CloseOrder, ControlReply, SessionControl, SessionDescription, TapReply } from "./session-control.ts";

/**
 * Holds one relayed session: dials its upstream, joins the two, and ends both whatever happens to either (docs/design/web-socket.md).
 * It stores nothing. An object that is evicted, aborted or killed takes its session with it, and both sides see that at once.
 */
export class WebSocketRelay extends DurableObject<Env> implements SessionControl {
  #session: LiveSession | undefined;

  /** Opens the session that a Worker asks for, once. Answers 101, or what the origin or the gateway has against it. */
  override async fetch(request: Request): Promise<Response> {
    const opening = readOpening(request.headers.get(OPENING));
    if (this.#session !== undefined) throw new Error("a relay holds one session");
    const places = placesOf(opening, this.env, this.ctx.id.toString());
    const refusal = await places.take();
    if (refusal !== undefined) return refused(refusal);
    const opened = this.#open(request, opening, places);
    // Places are left also where nobody waits for the answer any more.
    this.ctx.waitUntil(
      opened.then(
        ({ status }) => (status === 101 ? undefined : places.leave()),
        () => places.leave(),
      ),
    );
    return opened;
  }

  describeSession(id: string): SessionDescription | null {
    return this.#named(id)?.describe() ?? null;
  }

  closeSessions({ sessions, code, reason }: CloseOrder): readonly ControlReply[] {
    return sessions.map(({ id, afterMs }) => {
      const session = this.#named(id);
      if (session === undefined || session.describe().state === "closing") return "gone";
      if (afterMs > 0) setTimeout(() => session.close({ code, reason }), afterMs);
      else session.close({ code, reason });
      return "done";
    });
  }

  sendToSessions(ids: readonly string[], message: string | ArrayBuffer): readonly ControlReply[] {
    return ids.map((id) => this.#named(id)?.send(message) ?? "gone");
  }

  tapSession(id: string): TapReply {
    return { kind: this.#named(id) === undefined ? "gone" : "unsupported" };
  }

  #named(id: string): LiveSession | undefined {
    return id === this.ctx.id.toString() ? this.#session : undefined;
  }

  async #open(request: Request, opening: Opening, places: Places): Promise<Response> {
    const { route, requestId, client, placement } = opening;
    const props = { route, requestId, client, ...(placement === undefined ? {} : { placement }) };
    const dialled = await dial(request, opening, this.ctx.exports.Origin({ props }));
    if (dialled.kind === "failed") return refused(dialled.refusal);
    if (dialled.kind === "answer") return dialled.answer;
    const id = this.ctx.id.toString();
    const registration = createRegistration(this.env, id);
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const parts = { id, opening, dialled, origin: request.headers.get("origin") };
    const { session, socket } = openSession(parts, {
      abort: () => this.ctx.abort("a client did not answer a close"),
      renew: (now) =>
        this.ctx.waitUntil(Promise.all([registration.renew([session.describe()], now), places.keep(now)])),
      ended: () => {
        this.#session = undefined;
        this.ctx.waitUntil(Promise.all([registration.closed(id), places.leave()]));
        resolve();
      },
    });
    this.#session = session;
    this.ctx.waitUntil(registration.opened(session.describe()));
    // An object that has nothing but a splice would be evicted after ten seconds, and nobody could cut it any more.
    this.ctx.waitUntil(over);
    const { headers } = dialled;
    headers.set("x-ws-session", id);
    return new Response(null, { status: 101, webSocket: socket, headers });
  }
}

function refused(refusal: Refusal): Response {
  return new Response(null, { status: 503, headers: { [REFUSAL]: toField(refusal) } });
}
