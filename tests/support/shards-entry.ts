import { RateLimiter as SoundRateLimiter } from "../../objects/index.ts";
import { SHARD_COUNT_RULES } from "../../objects/rate-limiter/shards/shard-count.ts";
import type { LeaseMessage, LeaseReply } from "../../objects/rate-limiter/leases/lease-messages.ts";
import worker from "../../worker/index.ts";

export * from "../../worker/index.ts";

/** A client is hot after half a second with more than two calls in it, and never cool again. */
const COUNTING = { ...SHARD_COUNT_RULES, hotPerSecond: 2, hotMs: 500, coolPerSecond: 0, most: 4 };

// All objects live in the first isolate, whose variables these are.
const objects = new Set<string>();
const calls = { root: 0, shards: 0 };

/** The shipped limiter with rules by which a test's few requests make a client hot. */
export class RateLimiter extends SoundRateLimiter {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env, COUNTING);
    objects.add(ctx.id.toString());
  }

  override lease(message: LeaseMessage): Promise<LeaseReply> {
    calls[message.shardOf === undefined ? "root" : "shards"] += 1;
    return super.lease(message);
  }

  /** Ends this instance: what it had in memory is gone, what it stored stays. */
  leave(): void {
    this.ctx.abort("evicted by the test");
  }
}

/** The shipped Worker. `X-Test-Control` to the first isolate: `count` answers with the calls so far; `evict` ends every instance. */
export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const control = request.headers.get("x-test-control");
    if (control === "count") return Response.json({ ...calls, objects: objects.size });
    if (control !== "evict") return worker.fetch(request, env, ctx);
    await Promise.all([...objects].map((id) => evict(env, id)));
    return new Response(null, { status: 204 });
  },
} satisfies ExportedHandler<Env>;

async function evict(env: Env, id: string): Promise<void> {
  const owner = env.RATE_LIMITER.get(env.RATE_LIMITER.idFromString(id));
  // An instance that ends cannot answer.
  await Promise.resolve(Reflect.apply(Reflect.get(owner, "leave"), owner, [])).catch(() => {});
}
