import { DurableObject } from "cloudflare:workers";
import { forward, type BenchEnv } from "./forward.ts";

interface Env extends BenchEnv {
  readonly COUNTER: DurableObjectNamespace<Counter>;
}

/** Counts in memory, and forgets whenever it is evicted. */
export class Counter extends DurableObject {
  #taken = 0;

  take(): number {
    this.#taken += 1;
    return this.#taken;
  }
}

/** A limiter as it is usually written: one call to an object per request. */
export default {
  async fetch(request, env) {
    const taken = await env.COUNTER.get(env.COUNTER.idFromName("client")).take();
    if (taken < 0) return new Response(null, { status: 429 });
    return forward(request, env);
  },
} satisfies ExportedHandler<Env>;
