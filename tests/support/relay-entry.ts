import worker from "../../worker/index.ts";
import { WebSocketRelay as SoundRelay } from "../../objects/index.ts";
import { OPENING, readOpening } from "../../objects/web-socket-relay/opening.ts";

export * from "../../worker/index.ts";

/** Which object holds which session. All objects live in the first isolate, whose variable this is. */
const holders = new Map<string, string>();

/** The shipped relay, which can be aborted as the runtime aborts objects. */
export class WebSocketRelay extends SoundRelay {
  override fetch(request: Request): Promise<Response> {
    holders.set(readOpening(request.headers.get(OPENING)).session, this.ctx.id.toString());
    return super.fetch(request);
  }

  die(): void {
    this.ctx.abort("aborted by a test");
  }
}

/** The shipped Worker; a request with `X-Test-Abort` aborts the relay object that holds that session. */
export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const id = request.headers.get("x-test-abort");
    if (id === null) return worker.fetch(request, env, ctx);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the binding's class is the one above
    const relays = env.WEB_SOCKET_RELAY as unknown as DurableObjectNamespace<WebSocketRelay>;
    await relays
      .get(relays.idFromString(holders.get(id) ?? ""))
      .die()
      .catch(() => undefined);
    return new Response("gone");
  },
} satisfies ExportedHandler<Env>;
