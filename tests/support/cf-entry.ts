import worker from "../../worker/index.ts";

export * from "../../worker/index.ts";

/** The shipped Worker, told by `X-Test-Cf` where a request comes from: members of `request.cf`, as Cloudflare's network sets them. */
export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const given = request.headers.get("x-test-cf");
    if (given === null) return worker.fetch(request, env, ctx);
    const told: Record<string, unknown> = JSON.parse(given);
    const headers = new Headers(request.headers);
    headers.delete("x-test-cf");
    return worker.fetch(new Request(request, { headers, cf: { ...request.cf, ...told } }), env, ctx);
  },
} satisfies ExportedHandler<Env>;
