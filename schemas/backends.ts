import * as v from "valibot";
import type { Backend, BalancePolicy } from "./backend-types.ts";
import { closedObject } from "./document/closed-object.ts";
import { CircuitBreakerPolicySchema } from "./policies/circuit-breaker.ts";
import { pendingBackendPolicies } from "./policies/pending.ts";
import { TimeoutsSchema } from "./policies/timeouts.ts";
import { integer, listOf } from "./values/primitives.ts";
import { targetUrl } from "./values/target-url.ts";

const REGIONS = "an array of region names";

/** One origin server of a backend. */
export const TargetSchema = closedObject({
  url: targetUrl,
  weight: v.optional(integer(0, 1_000_000)),
  regions: v.optional(listOf(v.string(REGIONS), REGIONS)),
});

/** A named group of origin servers. */
export const BackendSchema = closedObject({
  targets: v.pipe(
    listOf(TargetSchema, "an array of at least one target"),
    v.check(
      (targets) => targets.length === 0 || targets.some(({ weight }) => weight !== 0),
      'at least one target with a "weight" above 0',
    ),
  ),
  timeouts: v.optional(TimeoutsSchema),
  circuitBreaker: v.optional(CircuitBreakerPolicySchema),
  ...pendingBackendPolicies,
});

/** A backend as its document states it. */
export type BackendInput = v.InferOutput<typeof BackendSchema>;

/** What holds where nothing is configured. */
const DEFAULT_BALANCE: BalancePolicy = {
  algorithm: "weighted-random",
  by: [],
  slowStartMs: 0,
  maxEjection: 0.5,
  panicThreshold: 0.5,
};

/** A backend with its defaults. */
export function resolveBackend(name: string, { targets }: BackendInput): Backend {
  return {
    name,
    targets: targets.map(({ url, weight }) => ({ url, weight: weight ?? 1, drain: false })),
    balance: DEFAULT_BALANCE,
    sticky: undefined,
    healthCheck: undefined,
    retry: undefined,
    hedge: undefined,
    circuitBreaker: undefined,
  };
}
