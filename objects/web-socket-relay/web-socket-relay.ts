import { DurableObject } from "cloudflare:workers";
import { dial, type Dialler, type DialProps } from "./dial.ts";
import { openSession, type LiveSession } from "./live-session.ts";
import { MARK, OPENING, readOpening, REFUSAL, type Opening, type Refusal } from "./opening.ts";
import { placesOf, type Places } from "./places.ts";
import { createHeldRelay, type HeldRelay } from "./held/held-relay.ts";
import { forgetHeld } from "./held/held-store.ts";
import { refused } from "./refused.ts";
import { createSharedRelay, type SharedRelay } from "./shared/shared-relay.ts";
import { createCallbackRelay, type CallbackRelay } from "./callback/callback-relay.ts";
import { COME_BACK } from "./resume/resume-rules.ts";
import { LOST } from "./close-codes.ts";
import { ENDS_WITH_CLIENT, endUntaken } from "./end-untaken.ts";
import { drainedUntil } from "./drained-routes.ts";
import { DRAINED, UNTAKEN } from "./own-closes.ts";
import { connectingSession, SHOWN_AFTER_MS, type ConnectingSession } from "./connecting-session.ts";
import { createRegistration, LATER_MS } from "./registration.ts";
import { createRouteWatch, type RouteAnswer } from "./route-watch.ts";
import { countHandshake } from "./told-counts.ts";
import type { SharedTerms } from "./mode-terms.ts";
import type {
  CloseOrder,
  ControlReply,
  SessionControl,
  SessionDescription,
  TapOptions,
  TapReply,
} from "./session-control.ts";

/**
 * Holds relayed sessions, one that is bridged or many that are spliced: dials their upstreams, joins the two sides, and ends both whatever happens to either (docs/design/web-socket.md).
 * It stores nothing but what a durable session needs to be resumed (docs/design/resumption.md). An object that is evicted or aborted takes a bridge with it, which both sides see at once; a splice goes on.
 */
export abstract class WebSocketRelay extends DurableObject<Env> implements SessionControl {
  readonly #sessions = new Map<string, LiveSession>();
  /** Those whose upstream takes its time. */
  readonly #connecting = new Map<string, ConnectingSession>();
  readonly #registration = createRegistration(this.env, this.ctx.id.toString(), (id) =>
    this.#named(id)?.close(DRAINED),
  );
  readonly #routeWatch = createRouteWatch((route) => this.routeNow(route));
  /** Of the clients that share a connection, while there are any. */
  readonly #places = new Map<string, Places>();
  #heldRelay: HeldRelay | undefined;
  #shared: SharedRelay | undefined;
  #callbackRelay: CallbackRelay | undefined;

  /** What dials for a session: it runs in this object, since a hop to `Origin` would stay on the way of every message. */
  protected abstract dialler(props: DialProps): Dialler;

  /** A route as the active configuration has it. */
  protected abstract routeNow(route: string): Promise<RouteAnswer>;

  /** Opens the session that a Worker asks for. Answers 101, or what the origin or the gateway has against it. */
  override async fetch(request: Request): Promise<Response> {
    const opening = readOpening(request.headers.get(OPENING));
    const isHandshake = request.headers.has("upgrade");
    const late = isHandshake ? setTimeout(() => this.#showConnecting(request, opening), SHOWN_AFTER_MS) : null;
    try {
      const answer = await this.#answer(request, opening).finally(() => clearTimeout(late));
      if (isHandshake) countHandshake(opening.route, outcomeOf(answer));
      const session = this.#connected(opening);
      const mark = answer.headers.get(MARK);
      if (mark !== null) answer.headers.delete(MARK);
      if (opening.onChange !== undefined && session !== undefined) this.#routeWatch.add(opening, session, mark);
      if (ENDS_WITH_CLIENT.has(opening.mode)) endUntaken(answer, () => session?.close(UNTAKEN));
      if (isHandshake && answer.status !== 101) this.ctx.waitUntil(this.#registration.counted());
      return answer;
    } catch (error) {
      this.#connected(opening);
      countHandshake(opening.route, "internal-error");
      throw error;
    }
  }

  #showConnecting(request: Request, opening: Opening): void {
    const { session: id } = opening;
    if (this.#sessions.has(id)) return;
    const session = connectingSession(opening, request.headers.get("origin"), Date.now() - SHOWN_AFTER_MS);
    this.#connecting.set(id, session);
    this.ctx.waitUntil(this.#registration.opened(session.describe()));
  }

  /** The session that has come of a handshake; undefined: none has. */
  #connected(opening: Opening): LiveSession | undefined {
    const { session: id } = opening;
    const session = this.#sessions.get(id);
    const shown = this.#connecting.get(id);
    // Another handshake of the same session may have been turned away.
    if (shown?.opening !== opening) return session;
    this.#connecting.delete(id);
    const { ordered } = shown;
    const opened = this.#named(id);
    // Behind the 101: a splice that is cut before would be a handshake that failed.
    if (ordered !== undefined) setTimeout(() => opened?.close(ordered), 0);
    if (opened === undefined) this.ctx.waitUntil(this.#registration.closed(id));
    return session;
  }

  async #answer(request: Request, opening: Opening): Promise<Response> {
    const until = drainedUntil(opening.route, Date.now());
    if (until !== undefined && isNew(opening)) return refused(drainedRoute(until));
    if (opening.held !== undefined) return this.#held.fetch(request, opening, opening.held);
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

  override async webSocketMessage(from: WebSocket, message: string | ArrayBuffer): Promise<void> {
    await this.#callback.message(from, message);
  }

  override async webSocketClose(of: WebSocket, code: number, reason: string, wasClean: boolean): Promise<void> {
    await this.#callback.closed(of, code === LOST && wasClean ? 0 : code, reason);
  }

  override async webSocketError(of: WebSocket): Promise<void> {
    await this.#callback.closed(of, LOST, "");
  }

  override async alarm(): Promise<void> {
    if (!(await forgetHeld(this.ctx.storage, Date.now()))) await this.#callback.alarm();
  }

  describeSession(id: string): SessionDescription | null {
    return this.#named(id)?.describe() ?? null;
  }

  closeSessions({ sessions, code, reason }: CloseOrder): readonly ControlReply[] {
    return sessions.map(({ id, afterMs }) => {
      const session = this.#named(id);
      if (session === undefined || session.describe().state === "closing") return "gone";
      if (afterMs > 0 && code === COME_BACK) session.announce?.(afterMs);
      if (afterMs > 0) setTimeout(() => session.close({ code, reason }), afterMs);
      else session.close({ code, reason });
      return "done";
    });
  }

  sendToSessions(ids: readonly string[], message: string | ArrayBuffer): readonly ControlReply[] {
    return ids.map((id) => this.#named(id)?.send(message) ?? "gone");
  }

  tapSession(id: string, options: TapOptions): TapReply {
    const session = this.#named(id);
    return session?.tap?.(options) ?? { kind: session === undefined ? "gone" : "unsupported" };
  }

  #renew(sessions: readonly SessionDescription[], places: readonly Places[], now: number): void {
    const kept = places.map((one) => one.keep(now));
    this.ctx.waitUntil(Promise.all([this.#registration.renew(sessions, now), this.#routeWatch.look(now), ...kept]));
  }

  #forget(id: string): void {
    this.#sessions.delete(id);
    this.#routeWatch.drop(id);
  }

  #named(id: string): LiveSession | undefined {
    // Only a session that sleeps has its object's name, and only its object remembers it.
    return (
      this.#sessions.get(id) ??
      this.#connecting.get(id) ??
      (id === this.ctx.id.toString() ? this.#callback.session() : undefined)
    );
  }

  /** Drops a client that did not answer a close, once what there is to be told of its session has been told. */
  #abortAfter(told: Promise<unknown>): void {
    this.ctx.waitUntil(told.then(() => this.ctx.abort("a client did not answer a close")));
  }

  get #held(): HeldRelay {
    const { ctx, env } = this;
    const registration = this.#registration;
    let over: PromiseWithResolvers<void> | undefined;
    let told: Promise<unknown> = Promise.resolve();
    const changed = (session: LiveSession) => ctx.waitUntil(registration.opened(session.describe()));
    this.#heldRelay ??= createHeldRelay({
      storage: ctx.storage,
      dialler: (props) => this.dialler(props),
      places: (opening) => placesOf(opening, env),
      began: (session) => {
        this.#sessions.set(session.describe().id, session);
        // It may have neither a client nor an upstream for a while.
        over = Promise.withResolvers();
        ctx.waitUntil(over.promise);
        changed(session);
      },
      changed,
      renew: (session, places, now) => this.#renew([session.describe()], [places], now),
      ended: (id, places, keptMs) => {
        this.#forget(id);
        told = Promise.all([registration.closed(id), places.leave()]);
        ctx.waitUntil(told);
        setTimeout(over?.resolve ?? (() => undefined), keptMs);
      },
      abort: () => this.#abortAfter(told),
    });
    return this.#heldRelay;
  }

  get #callback(): CallbackRelay {
    this.#callbackRelay ??= createCallbackRelay(this.ctx, this.env);
    return this.#callbackRelay;
  }

  async #open(request: Request, opening: Opening, places: Places): Promise<Response> {
    const { shared, callback } = opening;
    if (callback !== undefined) return this.#callback.open(request, opening, callback);
    if (shared !== undefined) return this.#join(request, opening, { shared, places });
    const dialled = await dial(request, opening, this.dialler(opening));
    if (dialled.kind === "failed") return refused(dialled.refusal);
    if (dialled.kind === "answer") return dialled.answer;
    const { session: id } = opening;
    const registration = this.#registration;
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const parts = { opening, dialled, origin: request.headers.get("origin") };
    let isSilent = false;
    const { session, socket } = openSession(parts, {
      // A bridge has its object to itself.
      abort: () => (isSilent = true),
      renew: (now) => this.#renew([session.describe()], [places], now),
      ended: () => {
        this.#forget(id);
        const told = Promise.all([registration.closed(id, isSilent ? 0 : LATER_MS), places.leave()]);
        if (isSilent) this.#abortAfter(told);
        else this.ctx.waitUntil(told);
        resolve();
      },
    });
    this.#sessions.set(id, session);
    // Behind the 101, which would else wait for it: a report is a quarter of what a handshake costs.
    setTimeout(() => {
      // What has ended is not to be listed after that.
      if (this.#sessions.has(id)) this.ctx.waitUntil(registration.opened(session.describe()));
    }, 0);
    // An object that has nothing but a splice would be evicted after ten seconds, and nobody could cut it any more.
    this.ctx.waitUntil(over);
    dialled.headers.set("x-ws-session", id);
    return new Response(null, { status: 101, webSocket: socket ?? null, headers: dialled.headers });
  }

  async #join(
    request: Request,
    opening: Opening,
    { shared, places }: { shared: SharedTerms; places: Places },
  ): Promise<Response> {
    const { session: id, client, ...anyone } = opening;
    const registration = this.#registration;
    this.#shared ??= createSharedRelay({
      ended: (ended) => {
        this.#forget(ended);
        this.ctx.waitUntil(Promise.all([registration.closed(ended), this.#places.get(ended)?.leave()]));
        this.#places.delete(ended);
      },
      renew: (sessions, now) => this.#renew(sessions, [...this.#places.values()], now),
      abort: () => this.ctx.abort("clients did not answer a close"),
    });
    // Who speaks for anyone speaks for no client.
    const send = this.dialler(shared.isForAnyone ? anyone : { ...anyone, client });
    const joined = await this.#shared.join(request, opening, { shared, send });
    if (joined.kind === "failed") return refused(joined.refusal);
    if (joined.kind === "answer") return joined.answer;
    const { session, socket, headers } = joined;
    this.#places.set(id, places);
    this.#sessions.set(id, session);
    this.ctx.waitUntil(registration.opened(session.describe()));
    headers.set("x-ws-session", id);
    return new Response(null, { status: 101, webSocket: socket, headers });
  }
}

function isNew({ held }: Opening): boolean {
  return held === undefined || (held.recv === null && !held.isStatus);
}

function drainedRoute(until: number): Refusal {
  const seconds = Math.max(1, Math.ceil((until - Date.now()) / 1_000));
  return { code: "draining", detail: "This route takes no new sessions for now.", retryAfter: String(seconds) };
}

/** How a handshake is counted. */
function outcomeOf({ status, headers }: Response): string {
  // Who is told by a close code alone gets no session.
  if (status === 101) return headers.has("x-ws-session") ? "open" : "turned-away";
  const refusal = headers.get(REFUSAL);
  if (refusal === null) return "upstream-refused";
  const { code }: Refusal = JSON.parse(refusal);
  return code;
}
