import * as v from "valibot";
import type { BreakerPolicy, BreakerSettings } from "../../backend-types.ts";
import { closedObject } from "../../document/closed-object.ts";
import { decimal } from "../../values/decimal.ts";
import { duration } from "../../values/duration.ts";
import { flag, integer } from "../../values/primitives.ts";
import { errorStatuses } from "../../values/status.ts";
import { isOn, switchable } from "../policy.ts";
import { FallbackSchema, resolveFallback } from "./fallback.ts";

/** What `circuitBreaker: true` means. As in `objects/circuit-breaker/breaker-policy.ts`. */
export const DEFAULT_BREAKER: BreakerPolicy = {
  failureThreshold: 5,
  failureRate: 0.5,
  minimumCalls: 20,
  windowMs: 10_000,
  slowCallMs: 5_000,
  slowCallRate: 1,
  successThreshold: 2,
  halfOpenPermits: 3,
  halfOpenMaxFailures: 0,
  openMs: 60_000,
  openMaxMs: 600_000,
  operationTimeoutMs: 10_000,
  jitter: 0.2,
};

/** 501 and 505 say that the request was wrong for this target, which a healthy one may say all day. */
export const DEFAULT_FAILURE_STATUSES: readonly number[] = [500, 502, 503, 504];

// A rate of 0 would open on the first call, and a spread of 1 might not stay open at all.
const rate = decimal(0.01, 1);
const spread = decimal(0, 0.9);

const MOST = 10_000;
const openTime = duration("ms", { min: 100, max: 86_400_000 });

/** Sparing a target that fails. */
export const CircuitBreakerSchema = v.pipe(
  closedObject({
    enabled: v.optional(flag),
    failureThreshold: v.optional(integer(1, MOST)),
    failureRate: v.optional(rate),
    minimumCalls: v.optional(integer(1, 1_000_000)),
    window: v.optional(duration("ms", { min: 1_000, max: 3_600_000 })),
    slowCall: v.optional(duration("ms", { max: 3_600_000 })),
    slowCallRate: v.optional(rate),
    timeout: v.optional(openTime),
    maxTimeout: v.optional(openTime),
    jitter: v.optional(spread),
    successThreshold: v.optional(integer(1, MOST)),
    // Each probe in flight is a part of the row that is stored with every permit.
    halfOpenRequests: v.optional(integer(1, 100)),
    halfOpenMaxFailures: v.optional(integer(0, MOST)),
    operationTimeout: v.optional(duration("ms", { min: 10, max: 3_600_000 })),
    failureStatuses: v.optional(errorStatuses),
    fallback: v.optional(FallbackSchema),
    shadow: v.optional(flag),
  }),
  v.forward(
    v.partialCheck(
      [["timeout"], ["maxTimeout"]],
      ({ timeout = 0, maxTimeout = Infinity }) => timeout <= maxTimeout,
      '"maxTimeout" at least as long as "timeout"',
    ),
    ["maxTimeout"],
  ),
  v.forward(
    v.partialCheck(
      [["slowCall"], ["slowCallRate"], ["operationTimeout"]],
      ({
        slowCall = DEFAULT_BREAKER.slowCallMs,
        slowCallRate = DEFAULT_BREAKER.slowCallRate,
        operationTimeout = DEFAULT_BREAKER.operationTimeoutMs,
      }) => slowCallRate === 1 || slowCall < operationTimeout,
      'less than "operationTimeout": a call that takes as long has failed, and is slow no more',
    ),
    ["slowCall"],
  ),
);

/** `circuitBreaker`: a switch or the settings. */
export const CircuitBreakerPolicySchema = switchable(CircuitBreakerSchema);

/** What a level says about breakers. */
export type CircuitBreakerInput = v.InferOutput<typeof CircuitBreakerPolicySchema>;

/** The settings with their defaults; undefined: no breaker. */
export function resolveBreaker(policy: CircuitBreakerInput | undefined): BreakerSettings | undefined {
  const input: v.InferOutput<typeof CircuitBreakerSchema> | false | undefined = policy === true ? {} : policy;
  if (!isOn(input)) return undefined;
  const openMs = input.timeout ?? DEFAULT_BREAKER.openMs;
  return {
    policy: {
      failureThreshold: input.failureThreshold ?? DEFAULT_BREAKER.failureThreshold,
      failureRate: input.failureRate ?? DEFAULT_BREAKER.failureRate,
      minimumCalls: input.minimumCalls ?? DEFAULT_BREAKER.minimumCalls,
      windowMs: input.window ?? DEFAULT_BREAKER.windowMs,
      slowCallMs: input.slowCall ?? DEFAULT_BREAKER.slowCallMs,
      slowCallRate: input.slowCallRate ?? DEFAULT_BREAKER.slowCallRate,
      successThreshold: input.successThreshold ?? DEFAULT_BREAKER.successThreshold,
      halfOpenPermits: input.halfOpenRequests ?? DEFAULT_BREAKER.halfOpenPermits,
      halfOpenMaxFailures: input.halfOpenMaxFailures ?? DEFAULT_BREAKER.halfOpenMaxFailures,
      openMs,
      openMaxMs: input.maxTimeout ?? Math.max(openMs, DEFAULT_BREAKER.openMaxMs),
      operationTimeoutMs: input.operationTimeout ?? DEFAULT_BREAKER.operationTimeoutMs,
      jitter: input.jitter ?? DEFAULT_BREAKER.jitter,
    },
    failureStatuses: input.failureStatuses ?? DEFAULT_FAILURE_STATUSES,
    fallback: resolveFallback(input.fallback),
    shadow: input.shadow ?? false,
  };
}
