import { forward, type BenchEnv } from "./forward.ts";

/** The least that answers from the Cache API: what it has, else what the origin says, which is kept for an hour. */
export default {
  async fetch(request: Request, env: BenchEnv, ctx: ExecutionContext): Promise<Response> {
    const found = await caches.default.match(request);
    if (found !== undefined) return found;
    const answer = await forward(request, env);
    const body = await answer.arrayBuffer();
    const headers = new Headers(answer.headers);
    headers.set("cache-control", "max-age=3600");
    ctx.waitUntil(caches.default.put(request, new Response(body, { headers })));
    return new Response(body, answer);
  },
} satisfies ExportedHandler<BenchEnv>;
