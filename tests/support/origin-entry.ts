import worker from "../../worker/index.ts";

export * from "../../worker/index.ts";

/**
 * The shipped Worker, with two ways more to call the inner entrypoint as an object would: `X-Test-Origin-Route` names the
 * route to forward by, `X-Test-Check` says which backend's health check to make, and of which target.
 */
export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const check = request.headers.get("x-test-check");
    if (check !== null) {
      const [backend = "", target = "", configVersion = 0] = check.split(" ");
      const question = { v: 1, backend, target, configVersion: Number(configVersion) } as const;
      return Response.json(await ctx.exports.Origin.checkHealth(question));
    }
    const route = request.headers.get("x-test-origin-route");
    if (route === null) return worker.fetch(request, env, ctx);
    const client = { address: "198.51.100.7", forwardedFor: "198.51.100.7" };
    const props = { route, requestId: "probe-0001", client };
    const headers = new Headers(request.headers);
    headers.delete("x-test-origin-route");
    return ctx.exports.Origin({ props }).fetch(new Request(request, { headers }));
  },
} satisfies ExportedHandler<Env>;
