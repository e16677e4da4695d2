import * as v from "valibot";
import type { Backend, BreakerSettings, RetrySettings } from "./backend-types.ts";
import { closedObject } from "./document/closed-object.ts";
import type { ConcurrencyPolicy } from "./traffic-types.ts";
import { balancePolicy, resolveBalance } from "./policies/backends/balance.ts";
import { CircuitBreakerPolicySchema, resolveBreaker } from "./policies/backends/circuit-breaker.ts";
import { ConcurrencyPolicySchema, resolveConcurrency } from "./policies/backends/concurrency.ts";
import { healthCheckPolicy, resolveHealthCheck } from "./policies/backends/health-check.ts";
import { HedgePolicySchema, resolveHedge } from "./policies/backends/hedge.ts";
import { quotaPolicy, resolveQuota } from "./policies/backends/quota.ts";
import { resolveRetry, RetryPolicySchema } from "./policies/backends/retry.ts";
import { resolveSticky, stickyPolicy } from "./policies/backends/sticky.ts";
import { TimeoutsSchema } from "./policies/timeouts.ts";
import { placeName } from "./values/place.ts";
import { flag, integer, listOf } from "./values/primitives.ts";
import { targetUrl } from "./values/target-url.ts";

/** One origin server of a backend. */
export const TargetSchema = closedObject(
  {
    url: targetUrl,
    weight: v.optional(integer(0, 1_000_000)),
    drain: v.optional(flag),
    regions: v.optional(listOf(placeName, "an array of places")),
  },
  { wanted: 'an object with "url"' },
);

const TARGETS = "an array of at least one target";
const named = v.looseObject({ url: v.string() });

const IN_ROUTE = "a key of a backend: this one stands in a route, or at the top level";
const IN_TARGET = 'a key of a backend: this one stands in its "targets"';
const ELSEWHERE = {
  url: IN_TARGET,
  weight: IN_TARGET,
  drain: IN_TARGET,
  regions: IN_TARGET,
  rateLimit: IN_ROUTE,
  rateLimits: IN_ROUTE,
  sizeLimits: IN_ROUTE,
  cache: IN_ROUTE,
  deduplication: IN_ROUTE,
  idempotency: IN_ROUTE,
  geo: IN_ROUTE,
  canary: IN_ROUTE,
  priority: IN_ROUTE,
  mirror: IN_ROUTE,
  webSocket: IN_ROUTE,
} as const;

/** A named group of origin servers. */
export const BackendSchema = closedObject(
  {
    targets: v.pipe(
      listOf(TargetSchema, TARGETS, TARGETS),
      v.check(
        (targets) => targets.length === 0 || targets.some(({ weight }) => weight !== 0),
        'at least one target with a "weight" above 0',
      ),
      v.check(
        (targets) => targets.every(({ weight }) => weight === 0) || targets.some((target) => takesNewClients(target)),
        'at least one target with a "weight" above 0 that does not drain: new clients have to go somewhere',
      ),
      // Raw, since a check would be skipped while another target has a mistake.
      v.rawCheck(({ dataset, addIssue }) => {
        const input: unknown[] = Array.isArray(dataset.value) ? dataset.value : [];
        const first = new Map<string, number>();
        for (const [key, value] of input.entries()) {
          if (!v.is(named, value)) continue;
          const place = first.get(value.url) ?? key;
          first.set(value.url, place);
          if (place === key) continue;
          const target = { type: "array", origin: "value", input, key, value } as const;
          const url = { type: "object", origin: "value", input: value, key: "url", value: value.url } as const;
          addIssue({ message: urlOnce(place), path: [target, url] });
        }
      }),
    ),
    timeouts: v.optional(TimeoutsSchema),
    circuitBreaker: v.optional(CircuitBreakerPolicySchema),
    balance: v.optional(balancePolicy),
    sticky: v.optional(stickyPolicy),
    healthCheck: v.optional(healthCheckPolicy),
    retry: v.optional(RetryPolicySchema),
    hedge: v.optional(HedgePolicySchema),
    concurrency: v.optional(ConcurrencyPolicySchema),
    quota: v.optional(quotaPolicy),
  },
  { wanted: 'an object with "targets"', elsewhere: ELSEWHERE },
);

/** A backend as its document states it. */
export type BackendInput = v.InferOutput<typeof BackendSchema>;

/** What a backend has from the top level. */
export interface BackendDefaults {
  readonly circuitBreaker: BreakerSettings | undefined;
  readonly retry: RetrySettings | undefined;
  readonly concurrency: ConcurrencyPolicy | undefined;
}

/** A backend with its defaults. */
export function resolveBackend(name: string, input: BackendInput, defaults: BackendDefaults): Backend {
  return {
    name,
    targets: input.targets.map(({ url, weight, drain, regions }) => ({
      url,
      weight: weight ?? 1,
      drain: drain ?? false,
      regions,
    })),
    balance: resolveBalance(input.balance),
    sticky: resolveSticky(input.sticky),
    healthCheck: resolveHealthCheck(input.healthCheck),
    retry: input.retry === undefined ? defaults.retry : resolveRetry(input.retry),
    hedge: resolveHedge(input.hedge),
    concurrency: input.concurrency === undefined ? defaults.concurrency : resolveConcurrency(input.concurrency),
    quota: resolveQuota(input.quota, name),
    circuitBreaker:
      input.circuitBreaker === undefined ? beside(name, defaults.circuitBreaker) : resolveBreaker(input.circuitBreaker),
  };
}

/** A fallback of a wider level is no fallback of the very backend that it names. */
export function beside(name: string, settings: BreakerSettings | undefined): BreakerSettings | undefined {
  const isItsOwn = settings?.fallback?.kind === "backend" && settings.fallback.backend === name;
  return isItsOwn ? { ...settings, fallback: undefined } : settings;
}

function urlOnce(place: number): string {
  return `another "url" than targets[${place}] has: to send more to a target give it more "weight"`;
}

function takesNewClients({ weight, drain }: v.InferOutput<typeof TargetSchema>): boolean {
  return weight !== 0 && drain !== true;
}
