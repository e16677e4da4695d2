import { BackendSchema, TargetSchema } from "../backends.ts";
import { BalanceSchema, DEFAULT_BALANCE } from "../policies/backends/balance.ts";
import { DEFAULT_HEALTH_CHECK, HealthCheckSchema } from "../policies/backends/health-check.ts";
import { DEFAULT_HEDGE, HedgeSchema } from "../policies/backends/hedge.ts";
import { BackoffSchema, DEFAULT_RETRY, RetryBudgetSchema, RetrySchema } from "../policies/backends/retry.ts";
import { DEFAULT_STICKY_TTL_MS, STICKY_NAMES, StickySchema } from "../policies/backends/sticky.ts";
import { formatMs } from "../values/duration.ts";
import { concurrencyPolicy } from "./traffic.ts";
import { breakerSections } from "./circuit-breaker.ts";
import { quotaSection } from "./quota.ts";
import { enabled, section } from "./section.ts";

/** The notes of what the top level and a route, or a backend, may say too. */
export const backendPolicies = {
  circuitBreaker: {
    meaning:
      "Sparing a target that fails: `true` for the defaults, or an object. Taken whole from the route, else from its backend, else from the top level.",
    standard: "no breaker",
  },
  retry: {
    meaning:
      "Trying again what may be tried again: `true` for the defaults, or an object. Taken whole from the backend, else from the top level.",
    standard: "no retries",
  },
} as const;

const backend = section(
  "Backend",
  BackendSchema,
  "A named group of origin servers. What breakers, checks, balancing, retries and hedging do, and what they cost: [backends](../guide/backends.md).",
  {
    targets: { meaning: "At least one, and one at least that takes new clients. Each URL once." },
    timeouts: {
      meaning: "Deadlines of every route that uses this backend, unless the route has its own.",
      standard: "the top level's",
    },
    circuitBreaker: { ...backendPolicies.circuitBreaker, standard: "the top level's" },
    balance: {
      meaning: "How a target is chosen: the name of an algorithm, or an object.",
      standard: `\`"${DEFAULT_BALANCE.algorithm}"\``,
    },
    sticky: {
      meaning: 'Keeping a client with its target: `"cookie"` (or `true`), `"header"`, or an object.',
      standard: "off",
    },
    healthCheck: { meaning: 'Probing targets: a path such as `"/healthz"`, or an object.', standard: "no checks" },
    quota: {
      meaning:
        'How much the whole fleet may ask of this backend: a preset such as `"30-per-minute"`, or an object. See [egress quotas](../guide/egress.md).',
      standard: "as much as comes",
    },
    retry: { ...backendPolicies.retry, standard: "the top level's" },
    hedge: {
      meaning: "Sending a second request when the first is slow: `true` for the defaults, or an object.",
      standard: "off",
    },
    concurrency: { ...concurrencyPolicy, standard: "the top level's" },
  },
);

const target = section("Target", TargetSchema, "One origin server.", {
  url: { meaning: "http or https, without user info, query and fragment. Required." },
  weight: {
    meaning:
      "Share of the traffic among the backend's targets; 0: no new client, while those that `sticky` binds to it stay.",
    standard: "`1`",
  },
  drain: {
    meaning: "`true`: it gets no new client. Clients that `sticky` binds to it stay.",
    standard: "`false`",
  },
  regions: {
    meaning:
      "Places that it is for, written like those of `geo`. Targets for the most specific place of a request come first, then those for a wider one, then those without `regions`, last all others.",
    standard: "any place",
  },
});

const balance = section("Balance", BalanceSchema, "How a target is chosen.", {
  algorithm: {
    meaning:
      '`"weighted-random"`: by lot. `"round-robin"`: in turn, smoothly. `"least-requests"`: the one with the fewest requests in flight for its weight. `"power-of-two"`: of two drawn by lot, the one that is likely to answer first. `"rendezvous"`: always the same one for the same key. Each keeps to the weights; what is in flight and how fast it was is what the isolate itself knows.',
    standard: `\`"${DEFAULT_BALANCE.algorithm}"\``,
  },
  by: {
    meaning: 'With `"rendezvous"`: what is spread over the targets, written like a limit\'s `by`, but not `"all"`.',
    standard: '`"ip"`',
  },
  slowStart: {
    meaning:
      "How long the weight of a target that has become well takes to rise from a tenth to all of it; a bare number counts milliseconds.",
    standard: "`0`: at once",
  },
  maxEjection: {
    meaning:
      "The most of the targets that health checks may take away, from 0 to 1; at least one where there are several, unless it is 0.",
    standard: `\`${DEFAULT_BALANCE.maxEjection}\``,
  },
  panicThreshold: {
    meaning: "Below this share of healthy targets, from 0 to 1, health checks are ignored.",
    standard: `\`${DEFAULT_BALANCE.panicThreshold}\``,
  },
});

const sticky = section(
  "Sticky",
  StickySchema,
  "Keeps a client with the target that it met first, by a signed name that the client sends back. It stays when weights, versions of the configuration and isolates change, and goes when its target is gone, down or refused by its breaker.",
  {
    enabled,
    by: {
      meaning: '`"cookie"`, for browsers, or `"header"`: the client sends back what it got in that header.',
      standard: '`"cookie"`',
    },
    name: {
      meaning: "Of the cookie or header.",
      standard: `\`"${STICKY_NAMES.cookie}"\` or \`"${STICKY_NAMES.header}"\``,
    },
    ttl: {
      meaning: "How long a binding holds; a bare number counts seconds. `0`: for the browser's session.",
      standard: `\`"${formatMs(DEFAULT_STICKY_TTL_MS)}"\``,
    },
  },
);

const healthCheck = section(
  "HealthCheck",
  HealthCheckSchema,
  "Probes each target of the backend, once for the whole fleet, while there is traffic for it and ten minutes after.",
  {
    enabled,
    path: {
      meaning:
        "Path, with a query if there is one, below the target's URL: `/healthz` of `https://api.example.com/v1` is `https://api.example.com/v1/healthz`. Required.",
    },
    method: { meaning: '`"GET"` or `"HEAD"`.', standard: `\`"${DEFAULT_HEALTH_CHECK.method}"\`` },
    interval: {
      meaning: "From one check to the next, 1 s at least; a bare number counts milliseconds.",
      standard: `\`"${formatMs(DEFAULT_HEALTH_CHECK.intervalMs)}"\``,
    },
    timeout: {
      meaning: "How long the answer may take, at most the interval; a bare number counts milliseconds.",
      standard: `\`"${formatMs(DEFAULT_HEALTH_CHECK.timeoutMs)}"\`, or the interval where that is shorter`,
    },
    rise: {
      meaning: "Good checks in a row after which a target that was down is well.",
      standard: `\`${DEFAULT_HEALTH_CHECK.rise}\``,
    },
    fall: {
      meaning: "Failed checks in a row after which a target is down.",
      standard: `\`${DEFAULT_HEALTH_CHECK.fall}\``,
    },
    statuses: {
      meaning: 'Answers that mean well: a status, a class such as `"2xx"`, or an array of these.',
      standard: "200 to 399",
    },
    bodyIncludes: { meaning: "A text that the first 64 KiB of the body must hold.", standard: "any body" },
  },
);

const retry = section(
  "Retry",
  RetrySchema,
  "Tries again what failed, where that is safe: methods that are idempotent (GET, HEAD, OPTIONS, PUT, DELETE) or a request with an `Idempotency-Key`, and a body that can be sent again. A wait that the origin asks for by `Retry-After` is kept.",
  {
    enabled,
    maxRetries: { meaning: "Tries beside the first, at most 10.", standard: `\`${DEFAULT_RETRY.maxRetries}\`` },
    statuses: {
      meaning:
        'Answers that are worth another try: an error status, a class such as `"5xx"`, or an array of these. No answer always is.',
      standard: `\`[${DEFAULT_RETRY.statuses.join(", ")}]\``,
    },
    perTryTimeout: {
      meaning: "How long one try may take until its response head; a bare number counts milliseconds.",
      standard: "`timeouts.headers`",
    },
    backoff: { meaning: "How long to wait before another try." },
    budget: { meaning: "How many retries there may be beside requests." },
  },
);

const backoff = section(
  "Backoff",
  BackoffSchema,
  "A wait is anything between nothing and a bound that doubles (full jitter). Bare numbers count milliseconds; the defaults are those of `retry`.",
  {
    base: { meaning: "The bound before the first retry.", standard: `\`"${formatMs(DEFAULT_RETRY.backoff.baseMs)}"\`` },
    max: { meaning: "The bound before any.", standard: `\`"${formatMs(DEFAULT_RETRY.backoff.maxMs)}"\`` },
  },
);

const budget = section(
  "RetryBudget",
  RetryBudgetSchema,
  "Keeps retries from making an outage worse: without budget a failure is passed on.",
  {
    ratio: { meaning: "Retries per request, from 0 to 1.", standard: `\`${DEFAULT_RETRY.budget.ratio}\`` },
    perSecond: {
      meaning: "Retries a second beside that, by the whole fleet.",
      standard: `\`${DEFAULT_RETRY.budget.perSecond}\``,
    },
  },
);

const hedge = section(
  "Hedge",
  HedgeSchema,
  "Sends a second request, to another target where there is one, when a GET or HEAD takes long. The first answer wins, the other is cancelled. Never while a breaker is not closed.",
  {
    enabled,
    after: {
      meaning: 'How long the first may take; a bare number counts milliseconds. `"p95"`: as long as 95 of 100 do.',
      standard: `\`"${DEFAULT_HEDGE.afterMs}"\``,
    },
    budget: { meaning: "Second requests per request, at most.", standard: `\`${DEFAULT_HEDGE.budget}\`` },
  },
);

/** Backends and what they are made of. */
export const backendSections = [
  backend,
  target,
  balance,
  sticky,
  healthCheck,
  retry,
  backoff,
  budget,
  hedge,
  quotaSection,
  ...breakerSections,
];
