import { RateLimiter as SoundRateLimiter } from "../../objects/index.ts";
import type { TakeMessage, TakeReply } from "../../objects/rate-limiter/messages.ts";
import worker from "../../worker/index.ts";

export { Origin } from "../../worker/index.ts";

/** How an owner fails. `late` answers rightly, 400 ms after it was asked; `stuck` blocks the whole object. */
const FAULTS = ["hang", "stuck", "throw", "late", "abort"] as const;
type Fault = (typeof FAULTS)[number];

const LATE_MS = 400;

/** The shipped limiter, which fails when the id of the policy it is asked about names a fault: `route:hang-...`. */
export class RateLimiter extends SoundRateLimiter {
  override async take(message: TakeMessage): Promise<TakeReply> {
    const fault = FAULTS.find((name) => message.items[0]?.policy.startsWith(`route:${name}-`));
    return fault === undefined ? super.take(message) : this.#fail(fault, message);
  }

  #fail(fault: Fault, message: TakeMessage): Promise<TakeReply> {
    switch (fault) {
      case "hang":
        return new Promise(() => {});
      case "stuck":
        return this.ctx.blockConcurrencyWhile(() => new Promise(() => {}));
      case "throw":
        throw new Error("injected");
      case "late":
        return scheduler.wait(LATE_MS).then(() => super.take(message));
      case "abort":
        this.ctx.abort("injected");
        throw new Error("an aborted object went on");
    }
  }
}

/** The shipped Worker; a request with `X-Test-No-Admin-Token` meets a deployment that configured none. */
export default {
  fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    if (!request.headers.has("x-test-no-admin-token")) return worker.fetch(request, env, ctx);
    const { SLUICE_ADMIN_TOKEN: _token, ADMIN_KEY: _alias, ...rest } = env;
    return worker.fetch(request, rest, ctx);
  },
} satisfies ExportedHandler<Env>;
