import worker, { Origin as SoundOrigin, WebSocketRelay as SoundRelay } from "../../worker/index.ts";
import type { OriginProps } from "../../worker/origin.ts";

export * from "../../worker/index.ts";

/** The inner entrypoint, configured alike. */
export class Origin extends SoundOrigin {
  constructor(ctx: ExecutionContext<OriginProps>, env: Env) {
    super(ctx, withoutFile(env));
  }
}

/** The relays, which dial and look after their routes themselves. */
export class WebSocketRelay extends SoundRelay {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, withoutFile(env));
  }
}

export class WebSocketBridge extends WebSocketRelay {}

/**
 * The shipped Worker as a deployment configures it, from KV. A request with `X-Test-Config-Version` puts its body there as
 * the document of that version; before the first there is none.
 */
export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const kv = env.PROXY_CONFIG;
    if (kv === undefined) throw new Error("this entry needs the simulated KV");
    const version = request.headers.get("x-test-config-version");
    if (version !== null) {
      await kv.put("config", await request.text(), { metadata: { version: Number(version) } });
      return new Response(null, { status: 204 });
    }
    return worker.fetch(request, withoutFile(env), ctx);
  },
} satisfies ExportedHandler<Env>;

function withoutFile({ SLUICE_CONFIG: _text, SLUICE_CONFIG_VERSION: _version, ...rest }: Env): Env {
  return rest;
}
