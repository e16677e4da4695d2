import worker, { WebSocketBridge as SoundBridge } from "../../worker/index.ts";
import { newBridge, relayAt } from "../../objects/web-socket-relay/relay-stub.ts";

export * from "../../worker/index.ts";

/** Says where a request without any gateway goes. */
const UPSTREAM = "x-test-upstream";

/** The shipped relay; or, for a request with `X-Test-Upstream`, the least that an object can do to pass messages on. */
export class WebSocketBridge extends SoundBridge {
  override async fetch(request: Request): Promise<Response> {
    const url = request.headers.get(UPSTREAM);
    if (url === null) return super.fetch(request);
    const { webSocket: upstream } = await fetch(url, { headers: { upgrade: "websocket" } });
    if (upstream === null) return new Response(null, { status: 502 });
    const { 0: outer, 1: client } = new WebSocketPair();
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.binaryType = "arraybuffer";
      from.addEventListener("message", ({ data }) => to.send(data));
      from.addEventListener("close", ({ code }) => to.close(code < 1005 ? code : 1000));
      from.accept();
    }
    return new Response(null, { status: 101, webSocket: outer });
  }
}

/** The shipped Worker, beside the two ways to relay that cost the least: `/raw-splice` and `/raw-pump`. */
export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const { pathname } = new URL(request.url);
    const url = request.headers.get(UPSTREAM) ?? "";
    if (pathname === "/raw-splice") return fetch(url, { headers: { upgrade: "websocket" } });
    if (pathname !== "/raw-pump") return worker.fetch(request, env, ctx);
    return relayAt(env, newBridge(env)).fetch(request);
  },
} satisfies ExportedHandler<Env>;
