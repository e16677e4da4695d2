import { RateLimiter as SoundRateLimiter } from "../../objects/index.ts";
import worker from "../../worker/index.ts";
import { aroundOwner, type OwnerCall } from "./around-owner.ts";

export { CircuitBreaker, Origin } from "../../worker/index.ts";

/**
 * How an owner fails. `late` answers rightly, 400 ms after it was asked; `busy` takes 100 ms for each call and lets the
 * others queue; `stuck` blocks the whole object.
 */
const FAULTS = ["hang", "stuck", "throw", "late", "busy", "abort"] as const;
type Fault = (typeof FAULTS)[number];

const LATE_MS = 400;
const BUSY_MS = 100;

/** Whether owners fail. All objects live in the first isolate, so this is one value for all of them. */
let isArmed = true;

/** The shipped limiter, which fails when the id of the policy it is asked about names a fault: `route:hang-...`. */
export class RateLimiter extends SoundRateLimiter {
  fail(fault: Fault, call: OwnerCall): unknown {
    switch (fault) {
      case "hang":
        return new Promise(() => {});
      case "stuck":
        return this.ctx.blockConcurrencyWhile(() => new Promise(() => {}));
      case "throw":
        throw new Error("injected");
      case "late":
        return scheduler.wait(LATE_MS).then(() => call.proceed());
      case "busy":
        return this.ctx.blockConcurrencyWhile(() => scheduler.wait(BUSY_MS)).then(() => call.proceed());
      case "abort":
        this.ctx.abort("injected");
        throw new Error("an aborted object went on");
    }
  }
}

aroundOwner(RateLimiter, SoundRateLimiter, (owner, call) => {
  const fault = FAULTS.find((name) => isArmed && call.policy?.startsWith(`route:${name}-`));
  return fault === undefined ? call.proceed() : owner.fail(fault, call);
});

/**
 * The shipped Worker. A request with `X-Test-Arm: yes` or `no` to the first isolate lets owners fail, which they do from
 * the start, or not; one with `X-Test-No-Admin-Token` meets a deployment that configured none.
 */
export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const arm = request.headers.get("x-test-arm");
    if (arm !== null) {
      isArmed = arm === "yes";
      return new Response(null, { status: 204 });
    }
    if (!request.headers.has("x-test-no-admin-token")) return worker.fetch(request, env, ctx);
    const { SLUICE_ADMIN_TOKEN: _token, ADMIN_KEY: _alias, ...rest } = env;
    return worker.fetch(request, rest, ctx);
  },
} satisfies ExportedHandler<Env>;
