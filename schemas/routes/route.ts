import * as v from "valibot";
import { closedObject } from "../document/closed-object.ts";
import { CachePolicySchema } from "../policies/cache.ts";
import { CanaryPolicySchema } from "../policies/canary.ts";
import { CircuitBreakerPolicySchema } from "../policies/backends/circuit-breaker.ts";
import { DeduplicationPolicySchema } from "../policies/deduplication.ts";
import { GeoPolicySchema } from "../policies/geo.ts";
import { IdempotencyPolicySchema } from "../policies/idempotency.ts";
import { MirrorPolicySchema } from "../policies/mirror.ts";
import { pendingRoutePolicies } from "../policies/pending.ts";
import { PriorityPolicySchema } from "../policies/priority.ts";
import { RateLimitListSchema, rateLimitMultiplier, RateLimitPolicySchema } from "../policies/rate-limit/rate-limit.ts";
import { SizeLimitsPolicySchema } from "../policies/size-limits.ts";
import { TimeoutsSchema } from "../policies/timeouts.ts";
import { WebSocketPolicySchema } from "../policies/web-socket.ts";
import { entityName } from "../values/primitives.ts";
import { targetUrl } from "../values/target-url.ts";
import { matchEntries } from "./route-match.ts";

/** The policies that a route may have and that the top level may give as their default. */
export const routePolicies = {
  rateLimit: v.optional(RateLimitPolicySchema),
  rateLimits: v.optional(RateLimitListSchema),
  sizeLimits: v.optional(SizeLimitsPolicySchema),
  timeouts: v.optional(TimeoutsSchema),
  cache: v.optional(CachePolicySchema),
  deduplication: v.optional(DeduplicationPolicySchema),
  circuitBreaker: v.optional(CircuitBreakerPolicySchema),
  idempotency: v.optional(IdempotencyPolicySchema),
  geo: v.optional(GeoPolicySchema),
  canary: v.optional(CanaryPolicySchema),
  priority: v.optional(PriorityPolicySchema),
  mirror: v.optional(MirrorPolicySchema),
  webSocket: v.optional(WebSocketPolicySchema),
  ...pendingRoutePolicies,
} as const;

/** Why a level may not state both. */
export const ONE_OR_LIST = 'either "rateLimit" or "rateLimits": move the single limit into the list';

const IN_BACKEND = 'a key of a route: this one stands in a backend of "backends", which routes name in "backend"';

/** What is chosen for all targets of a backend together, and so by none of its routes. */
const OF_BACKENDS = {
  balance: IN_BACKEND,
  sticky: IN_BACKEND,
  healthCheck: IN_BACKEND,
  hedge: IN_BACKEND,
  quota: IN_BACKEND,
  retry: `${IN_BACKEND}, or at the top level`,
  concurrency: `${IN_BACKEND}, or at the top level`,
} as const;

const ON_TOP = "a key of a route: this one stands at the top level alone";
const OF_THE_DOCUMENT = {
  backends: ON_TOP,
  batch: ON_TOP,
  metrics: ON_TOP,
  logging: ON_TOP,
  limiter: ON_TOP,
  clientIp: ON_TOP,
  admin: ON_TOP,
  endpoints: ON_TOP,
  allowPrivateTargets: ON_TOP,
} as const;

/** What a request must look like, where it goes, and what happens on the way. */
export const RouteSchema = v.pipe(
  closedObject(
    {
      id: v.optional(entityName),
      ...matchEntries,
      target: v.optional(targetUrl),
      backend: v.optional(entityName),
      ...routePolicies,
      rateLimitMultiplier: v.optional(rateLimitMultiplier),
    },
    { elsewhere: { ...OF_BACKENDS, ...OF_THE_DOCUMENT } },
  ),
  v.forward(
    v.partialCheck(
      [["prefix"], ["path"]],
      ({ prefix: a, path: b }) => (a === undefined) !== (b === undefined),
      'exactly one of "prefix" and "path"',
    ),
    ["prefix"],
  ),
  v.forward(
    v.partialCheck(
      [["target"], ["backend"]],
      ({ target, backend }) => (target === undefined) !== (backend === undefined),
      'exactly one of "target" and "backend"',
    ),
    ["target"],
  ),
  v.forward(
    v.partialCheck(
      [["rateLimit"], ["rateLimits"]],
      ({ rateLimit, rateLimits }) => rateLimit === undefined || rateLimits === undefined,
      ONE_OR_LIST,
    ),
    ["rateLimits"],
  ),
  v.forward(
    v.partialCheck(
      [["rateLimit"], ["rateLimits"], ["rateLimitMultiplier"]],
      ({ rateLimit, rateLimits, rateLimitMultiplier: multiplier }) =>
        multiplier === undefined || (rateLimit === undefined && rateLimits === undefined),
      'nothing beside limits of the route\'s own: say there what a request costs, in "cost"',
    ),
    ["rateLimitMultiplier"],
  ),
);

/** A route as its document states it. */
export type RouteInput = v.InferOutput<typeof RouteSchema>;
