import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
export class RateLimiter extends DurableObject {}
export class Origin extends WorkerEntrypoint { override fetch() { return new Response("x"); } }
export default { fetch(_r: Request, _env: Env, ctx: ExecutionContext) { return new Response(Object.keys(ctx.exports).join()); } };
