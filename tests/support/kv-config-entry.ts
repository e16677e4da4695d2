import worker from "../../worker/index.ts";

export * from "../../worker/index.ts";

/**
 * The shipped Worker as a deployment configures it, from KV. A request with `X-Test-Config-Version` puts its body there as
 * the document of that version; before the first there is none.
 */
export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const { SLUICE_CONFIG: _text, SLUICE_CONFIG_VERSION: _version, ...rest } = env;
    const kv = env.PROXY_CONFIG;
    if (kv === undefined) throw new Error("this entry needs the simulated KV");
    const version = request.headers.get("x-test-config-version");
    if (version !== null) {
      await kv.put("config", await request.text(), { metadata: { version: Number(version) } });
      return new Response(null, { status: 204 });
    }
    return worker.fetch(request, rest, ctx);
  },
} satisfies ExportedHandler<Env>;
