import { DurableObject } from "cloudflare:workers";
import { dial } from "./dial.ts";
import { openSession, type LiveSession } from "./live-session.ts";
import { OPENING, readOpening, REFUSAL, toField, type Opening, type Refusal } from "./opening.ts";
import { placesOf, type Places } from "./places.ts";
import { createRegistration } from "./registration.ts";
import type { CloseOrder, ControlReply, SessionControl, SessionDescription, TapReply } from "./session-control.ts";

/**
 * Holds relayed sessions, one that is bridged or many that are spliced: dials their upstreams, joins the two sides, and ends both whatever happens to either (docs/design/web-socket.md).
 * It stores nothing. An object that is evicted or aborted takes a bridge with it, which both sides see at once; a splice goes on.
 */
export class WebSocketRelay extends DurableObject<Env> implements SessionControl {
  readonly #sessions = new Map<string, LiveSession>();
  readonly #registration = createRegistration(this.env, this.ctx.id.toString());

  /** Opens the session that a Worker asks for. Answers 101, or what the origin or the gateway has against it. */
  override async fetch(request: Request): Promise<Response> {
    const opening = readOpening(request.headers.get(OPENING));
    const places = placesOf(opening, this.env);
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
    return this.#sessions.get(id)?.describe() ?? null;
  }

  closeSessions({ sessions, code, reason }: CloseOrder): readonly ControlReply[] {
    return sessions.map(({ id, afterMs }) => {
      const session = this.#sessions.get(id);
      if (session === undefined || session.describe().state === "closing") return "gone";
      if (afterMs > 0) setTimeout(() => session.close({ code, reason }), afterMs);
      else session.close({ code, reason });
      return "done";
    });
  }

  sendToSessions(ids: readonly string[], message: string | ArrayBuffer): readonly ControlReply[] {
    return ids.map((id) => this.#sessions.get(id)?.send(message) ?? "gone");
  }

  tapSession(id: string): TapReply {
    return { kind: this.#sessions.has(id) ? "unsupported" : "gone" };
  }

  async #open(request: Request, opening: Opening, places: Places): Promise<Response> {
    const { route, requestId, client, placement } = opening;
    const props = { route, requestId, client, ...(placement === undefined ? {} : { placement }) };
    const dialled = await dial(request, opening, this.ctx.exports.Origin({ props }));
    if (dialled.kind === "failed") return refused(dialled.refusal);
    if (dialled.kind === "answer") return dialled.answer;
    const { session: id } = opening;
    const registration = this.#registration;
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const parts = { opening, dialled, origin: request.headers.get("origin") };
    const { session, socket } = openSession(parts, {
      abort: () => {
        if (this.#sessions.size === 1) this.ctx.abort("a client did not answer a close");
      },
      renew: (now) =>
        this.ctx.waitUntil(Promise.all([registration.renew([session.describe()], now), places.keep(now)])),
      ended: () => {
        this.#sessions.delete(id);
        this.ctx.waitUntil(Promise.all([registration.closed(id), places.leave()]));
        resolve();
      },
    });
    this.#sessions.set(id, session);
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
