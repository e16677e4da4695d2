import worker from "../../worker/index.ts";
import { WebSocketRelay as SoundRelay } from "../../objects/index.ts";

export {
  CircuitBreaker,
  ControlPlane,
  Dedup,
  Origin,
  RateLimiter,
  Rollout,
  SocketRegistry,
  UpstreamQuota,
} from "../../worker/index.ts";

/** The shipped relay, which can be aborted as the runtime aborts objects. */
export class WebSocketRelay extends SoundRelay {
  die(): void {
    this.ctx.abort("aborted by a test");
  }
}

/** The shipped Worker; a request with `X-Test-Abort` aborts the relay object with that id. */
export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const id = request.headers.get("x-test-abort");
    if (id === null) return worker.fetch(request, env, ctx);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the binding's class is the one above
    const relays = env.WEB_SOCKET_RELAY as unknown as DurableObjectNamespace<WebSocketRelay>;
    await relays
      .get(relays.idFromString(id))
      .die()
      .catch(() => undefined);
    return new Response("gone");
  },
} satisfies ExportedHandler<Env>;
