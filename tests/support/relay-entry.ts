import worker, { WebSocketRelay as SoundRelay } from "../../worker/index.ts";
import { OPENING, readOpening, toField } from "../../objects/web-socket-relay/opening.ts";
import { relayAt } from "../../objects/web-socket-relay/relay-stub.ts";

export * from "../../worker/index.ts";

// Else the runtime says nothing of it.
addEventListener("unhandledrejection", ({ reason }) => console.error(`uncaught: ${String(reason)}`));

/** Which object holds which session. All objects live in the first isolate, whose variable this is. */
const holders = new Map<string, string>();
/** How often each object was made. */
const births = new Map<string, number>();
/** Objects that fail, whatever they are asked. */
const broken = new Set<string>();

/**
 * The shipped relay, which can be aborted as the runtime aborts objects; `X-Test-Valid-Ms` says when credentials end, `X-Test-Principal`
 * whose they are; `X-Test-Break` breaks the object that gets it.
 */
export class WebSocketRelay extends SoundRelay {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const id = ctx.id.toString();
    births.set(id, (births.get(id) ?? 0) + 1);
  }

  override fetch(request: Request): Promise<Response> {
    const opening = readOpening(request.headers.get(OPENING));
    const id = this.ctx.id.toString();
    holders.set(opening.session, id);
    if (request.headers.has("x-test-break")) broken.add(id);
    if (broken.has(id)) return Promise.reject(new Error("broken by a test"));
    const validMs = request.headers.get("x-test-valid-ms");
    const principal = request.headers.get("x-test-principal");
    if (validMs === null && principal === null) return super.fetch(request);
    const headers = new Headers(request.headers);
    const validUntil = validMs === null ? opening.validUntil : Date.now() + Number(validMs);
    headers.set(OPENING, toField({ ...opening, validUntil, principal: principal ?? opening.principal }));
    return super.fetch(new Request(request.url, { headers }));
  }

  die(): void {
    this.ctx.abort("aborted by a test");
  }
}

export class WebSocketBridge extends WebSocketRelay {}

/**
 * The shipped Worker; a request with `X-Test-Abort` aborts the relay object that holds that session, and one with `X-Test-Births` is told
 * how often that object was made; "of all", how many objects there have been.
 */
export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const asked = request.headers.get("x-test-births");
    if (asked === "of all") return new Response(String(births.size));
    if (asked !== null) return new Response(String(births.get(holders.get(asked) ?? "") ?? 0));
    const id = request.headers.get("x-test-abort");
    if (id === null) return worker.fetch(request, env, ctx);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the binding's class is the one above
    const relay = relayAt(env, holders.get(id) ?? "") as unknown as DurableObjectStub<WebSocketRelay>;
    await relay.die().catch(() => undefined);
    return new Response("gone");
  },
} satisfies ExportedHandler<Env>;
