import { DurableObject } from "cloudflare:workers";
import { openBridge } from "./bridge-mode.ts";
import { createCallbackRelay, type CallbackRelay } from "./callback/callback-relay.ts";
import { LOST } from "./close-codes.ts";
import { connectingSession, SHOWN_AFTER_MS, type ConnectingSession } from "./connecting-session.ts";
import type { Dialler, DialProps } from "./dial.ts";
import { drainedUntil } from "./drained-routes.ts";
import { endUntaken } from "./end-untaken.ts";
import { createHeldMode } from "./held/held-mode.ts";
import type { HeldRelay } from "./held/held-relay.ts";
import { forgetHeld } from "./held/held-store.ts";
import type { LiveSession } from "./live-session.ts";
import { MARK, OPENING, readOpening, REFUSAL, type Opening, type Refusal } from "./opening.ts";
import { DRAINED } from "./own-closes.ts";
import { placesOf, type Places } from "./places.ts";
import { refused } from "./refused.ts";
import { createRegistration } from "./registration.ts";
import type { RelayHost } from "./relay-host.ts";
import { COME_BACK } from "./resume/resume-rules.ts";
import { createRouteWatch, type RouteAnswer } from "./route-watch.ts";
import { createSharedMode, type SharedMode } from "./shared/shared-mode.ts";
import { countHandshake } from "./told-counts.ts";
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
  readonly #host: RelayHost = {
    ctx: this.ctx,
    env: this.env,
    sessions: new Map(),
    registration: createRegistration(this.env, this.ctx.id.toString(), (id) => this.#named(id)?.close(DRAINED)),
    routeWatch: createRouteWatch((route) => this.routeNow(route)),
    dialler: (props) => this.dialler(props),
  };
  /** Those whose upstream takes its time. */
  readonly #connecting = new Map<string, ConnectingSession>();
  // Made when first asked for: most objects have a bridge, and none of these.
  #heldMode: HeldRelay | undefined;
  #sharedMode: SharedMode | undefined;
  #callbackRelay: CallbackRelay | undefined;

  /** What dials for a session: it runs in this object, since a hop to `Origin` would stay on the way of every message. */
  protected abstract dialler(props: DialProps): Dialler;

  /** A route as the active configuration has it. */
  protected abstract routeNow(route: string): Promise<RouteAnswer>;

  /** Opens the session that a Worker asks for. Answers 101, or what the origin or the gateway has against it. */
  override async fetch(request: Request): Promise<Response> {
    const opening = readOpening(request.headers.get(OPENING));
    const isHandshake = request.headers.has("upgrade");
    let isAnswered = false;
    const show = (): void => (isAnswered ? undefined : this.#showConnecting(request, opening));
    const late = isHandshake ? setTimeout(show, SHOWN_AFTER_MS) : null;
    try {
      const answer = await this.#answer(request, opening).finally(() => {
        isAnswered = true;
        if (ONE_HANDSHAKE.has(opening.mode)) clearTimeout(late);
      });
      if (isHandshake) countHandshake(opening.route, outcomeOf(answer));
      const session = this.#connected(opening);
      const mark = answer.headers.get(MARK);
      if (mark !== null) answer.headers.delete(MARK);
      if (opening.onChange !== undefined && session !== undefined) this.#host.routeWatch.add(opening, session, mark);
      endUntaken(answer, opening, session);
      if (isHandshake && answer.status !== 101) this.ctx.waitUntil(this.#host.registration.counted());
      return answer;
    } catch (error) {
      this.#connected(opening);
      countHandshake(opening.route, "internal-error");
      throw error;
    }
  }

  #showConnecting(request: Request, opening: Opening): void {
    const { session: id } = opening;
    if (this.#host.sessions.has(id)) return;
    const session = connectingSession(opening, request.headers.get("origin"), Date.now() - SHOWN_AFTER_MS);
    this.#connecting.set(id, session);
    this.ctx.waitUntil(this.#host.registration.opened(session.describe()));
  }

  /** The session that has come of a handshake; undefined: none has. */
  #connected(opening: Opening): LiveSession | undefined {
    const { session: id } = opening;
    const session = this.#host.sessions.get(id);
    const shown = this.#connecting.get(id);
    // Another handshake of the same session may have been turned away.
    if (shown?.opening !== opening) return session;
    this.#connecting.delete(id);
    const opened = this.#named(id);
    if (opened === undefined) this.ctx.waitUntil(this.#host.registration.closed(id));
    else shown.becomes(opened);
    return session;
  }

  async #answer(request: Request, opening: Opening): Promise<Response> {
    const until = drainedUntil(opening.route, Date.now());
    if (until !== undefined && isNew(opening)) return refused(drainedRoute(until));
    // It takes its places itself, since who comes back has them.
    if (opening.held !== undefined) {
      this.#heldMode ??= createHeldMode(this.#host);
      return this.#heldMode.fetch(request, opening, opening.held);
    }
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

  async #open(request: Request, opening: Opening, places: Places): Promise<Response> {
    const { shared, callback } = opening;
    if (callback !== undefined) return this.#callback.open(request, opening, callback);
    if (shared === undefined) return openBridge(this.#host, request, { opening, places });
    this.#sharedMode ??= createSharedMode(this.#host);
    return this.#sharedMode.open(request, { opening, shared, places });
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

  #named(id: string): LiveSession | undefined {
    // Only a session that sleeps has its object's name, and only its object remembers it.
    return (
      this.#host.sessions.get(id) ??
      this.#connecting.get(id) ??
      (id === this.ctx.id.toString() ? this.#callback.session() : undefined)
    );
  }

  get #callback(): CallbackRelay {
    this.#callbackRelay ??= createCallbackRelay(this.#host);
    return this.#callbackRelay;
  }
}

/** To whose object nobody comes twice. Any other clears no timer each time: the runtime keeps 256 bytes of it for as long as the object is in memory. */
const ONE_HANDSHAKE: ReadonlySet<Opening["mode"]> = new Set(["bridge", "callback"]);

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
