import {
  CircuitBreaker as SoundCircuitBreaker,
  RateLimiter as SoundRateLimiter,
  UpstreamQuota as SoundUpstreamQuota,
} from "../../objects/index.ts";
import worker from "../../worker/index.ts";
import { aroundOwner, type OwnerCall } from "./around-owner.ts";
import { FAULTS, type Fault } from "./faults.ts";

export * from "../../worker/index.ts";

const LATE_MS = 400;
const BUSY_MS = 100;

/** Whether owners fail. All objects live in the first isolate, so this is one value for all of them. */
let isArmed = true;

/** The shipped limiter, which fails when the id of the policy it is asked about names a fault: `route:hang-...`. */
export class RateLimiter extends SoundRateLimiter {
  fail(fault: Fault, call: OwnerCall): unknown {
    return failBy(fault, this.ctx, call);
  }
}

/** The shipped owner of targets, which fails when the path of its target's URL names a fault: `http://origin/hang-...`. */
export class CircuitBreaker extends SoundCircuitBreaker {
  /** Of messages that name none: the last one that did. */
  target = "";

  fail(fault: Fault, call: OwnerCall): unknown {
    return failBy(fault, this.ctx, call);
  }
}

/** The shipped owner of quotas, which fails when the name of its quota begins with a fault: `hang-...`. */
export class UpstreamQuota extends SoundUpstreamQuota {
  /** Of messages that name none: the last one that did. */
  quota = "";

  fail(fault: Fault, call: OwnerCall): unknown {
    return failBy(fault, this.ctx, call);
  }
}

aroundOwner(RateLimiter, SoundRateLimiter, (owner, call) => {
  const fault = faultNamed((name) => call.policy?.startsWith(`route:${name}-`) === true);
  return fault === undefined ? call.proceed() : owner.fail(fault, call);
});

aroundOwner(CircuitBreaker, SoundCircuitBreaker, (owner, call) => {
  owner.target = call.target ?? owner.target;
  const fault = faultNamed((name) => new RegExp(`^https?://[^/]+/${name}-`).test(owner.target));
  return fault === undefined ? call.proceed() : owner.fail(fault, call);
});

aroundOwner(UpstreamQuota, SoundUpstreamQuota, (owner, call) => {
  owner.quota = call.target ?? owner.quota;
  const fault = faultNamed((name) => owner.quota.startsWith(`${name}-`));
  return fault === undefined ? call.proceed() : owner.fail(fault, call);
});

function faultNamed(isNamed: (name: Fault) => boolean): Fault | undefined {
  return isArmed ? FAULTS.find(isNamed) : undefined;
}

function failBy(fault: Fault, ctx: DurableObjectState, call: OwnerCall): unknown {
  switch (fault) {
    case "hang":
      return new Promise(() => {});
    case "stuck":
      return ctx.blockConcurrencyWhile(() => new Promise(() => {}));
    case "throw":
      throw new Error("injected");
    case "late":
      return scheduler.wait(LATE_MS).then(() => call.proceed());
    case "busy":
      return ctx.blockConcurrencyWhile(() => scheduler.wait(BUSY_MS)).then(() => call.proceed());
    case "overloaded":
      // As the network marks it; here nothing refuses calls for being too many.
      throw Object.assign(new Error("injected"), { overloaded: true });
    case "abort":
      ctx.abort("injected");
      throw new Error("an aborted object went on");
  }
}

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
