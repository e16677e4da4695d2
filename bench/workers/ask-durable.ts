import { DurableObject } from "cloudflare:workers";
import { forward, type BenchEnv } from "./forward.ts";

interface Env extends BenchEnv {
  readonly COUNTER: DurableObjectNamespace<Counter>;
}

const COUNT =
  "INSERT INTO counters VALUES (?, 1) ON CONFLICT (client) DO UPDATE SET taken = taken + 1 RETURNING taken AS taken";

/** Counts in SQLite; the output gate holds each reply until its write is durable. */
export class Counter extends DurableObject {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS counters (client TEXT PRIMARY KEY, taken INTEGER NOT NULL)");
  }

  take(client: string): number {
    return this.ctx.storage.sql.exec<{ taken: number }>(COUNT, client).one().taken;
  }
}

/** A limiter that never forgets, as it is usually written: one call per request, persisted before the reply. */
export default {
  async fetch(request, env) {
    const taken = await env.COUNTER.get(env.COUNTER.idFromName("client")).take("client");
    if (taken < 0) return new Response(null, { status: 429 });
    return forward(request, env);
  },
} satisfies ExportedHandler<Env>;
