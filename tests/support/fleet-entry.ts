import { RateLimiter as SoundRateLimiter } from "../../objects/index.ts";
import worker from "../../worker/index.ts";
import { aroundOwner } from "./around-owner.ts";

export * from "../../worker/index.ts";

// All objects live in the first isolate, whose variables these are.
const calls: Record<string, number> = {};
const owners = new Set<string>();
let instances = 0;

/** The shipped limiter, counted. One whose policy is named `generous` says yes to everyone and lends twice what it takes. */
export class RateLimiter extends SoundRateLimiter {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    instances += 1;
    owners.add(ctx.id.toString());
  }

  /** Ends this instance: what it had in memory is gone, what it stored stays. */
  leave(): void {
    this.ctx.abort("evicted by the test");
  }
}

aroundOwner(RateLimiter, SoundRateLimiter, (_, { method, policy, proceed }) => {
  calls[method] = (calls[method] ?? 0) + 1;
  const reply = proceed();
  return policy?.endsWith(":generous") === true ? Promise.resolve(reply).then(generous) : reply;
});

function generous(reply: unknown): unknown {
  return JSON.parse(JSON.stringify(reply), (field, value: unknown) => {
    if (field === "allowed") return true;
    return field === "granted" ? 2 * Number(value) : value;
  });
}

/**
 * The shipped Worker. `X-Test-Control` to the first isolate: `count` answers with the calls that owners received, by method,
 * and with how many instances of them were made; `evict` ends every instance.
 */
export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const control = request.headers.get("x-test-control");
    if (control === "count") return Response.json({ calls, instances, owners: owners.size });
    if (control !== "evict") return worker.fetch(request, env, ctx);
    await Promise.all([...owners].map((id) => evict(env, id)));
    return new Response(null, { status: 204 });
  },
} satisfies ExportedHandler<Env>;

async function evict(env: Env, id: string): Promise<void> {
  const namespace = env.RATE_LIMITER;
  const owner = namespace.get(namespace.idFromString(id));
  // An instance that ends cannot answer.
  await Promise.resolve(Reflect.apply(Reflect.get(owner, "leave"), owner, [])).catch(() => {});
}
