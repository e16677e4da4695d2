import worker, { CircuitBreaker, Origin, RateLimiter } from "../../worker/index.ts";

export { CircuitBreaker, Origin, RateLimiter };

/** The shipped Worker, with one path more that calls the inner entrypoint as an object would. */
export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const route = request.headers.get("x-test-origin-route");
    if (route === null) return worker.fetch(request, env, ctx);
    const client = { address: "198.51.100.7", forwardedFor: "198.51.100.7" };
    const props = { route, requestId: "probe-0001", client };
    const headers = new Headers(request.headers);
    headers.delete("x-test-origin-route");
    return ctx.exports.Origin({ props }).fetch(new Request(request, { headers }));
  },
} satisfies ExportedHandler<Env>;
