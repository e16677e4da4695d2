import { parseConfig } from "../../../schemas/index.ts";
import type { Config, ConfigProblem, ConfigWarning, Route } from "../../../schemas/index.ts";

/** The document that the names of the product are fixed by. It has to load exactly as it stands. */
export const CONTRACT_TEXT = `{
  "routes": [{
    "prefix": "/api/data", "target": "https://your-backend.com/api/data",
    "cache": { "enabled": true, "ttl": 300, "respectCacheControl": true },
    "deduplication": { "enabled": true, "windowMs": 5000 },
    "circuitBreaker": { "enabled": true, "failureThreshold": 5, "timeout": 60000 },
    "sizeLimits": { "maxBodySize": 10485760, "maxUrlLength": 8192 }
  }],
  "metrics": { "enabled": true },
  "rateLimit": { "enabled": true, "requestsPerWindow": 300, "windowSeconds": 300 }
}`;

/** A route that nothing is wrong with, to put other things beside. */
export const ROUTE = { prefix: "/a", target: "https://a.example.com" } as const;

/** What a limit has that says how many and how long alone, beside its id, name and numbers. */
export const LIMIT_DEFAULTS = {
  by: [{ kind: "ip" }],
  algorithm: "token-bucket",
  mode: "leased",
  calendar: undefined,
  maxConcurrent: undefined,
  cost: { kind: "static", cost: 1 },
  multiplier: 1,
  unitsPerToken: 1,
  settle: undefined,
  maxDebt: 0,
  countWhen: undefined,
  exempt: { cidrs: [], principals: [] },
  countCacheHits: true,
  ban: undefined,
  onError: "local",
  clients: "pooled",
  shadow: false,
  legacyHeaders: false,
  deadlineMs: 150,
} as const;

/** What a backend has that names its targets alone, beside its name and them. */
export const BACKEND_DEFAULTS = {
  balance: { algorithm: "weighted-random", by: [], slowStartMs: 0, maxEjection: 0.5, panicThreshold: 0.5 },
  sticky: undefined,
  healthCheck: undefined,
  retry: undefined,
  hedge: undefined,
  concurrency: undefined,
  quota: undefined,
  circuitBreaker: undefined,
  idempotency: undefined,
} as const;

/** A breaker that says nothing but that it is on. */
export const BREAKER_DEFAULTS = {
  policy: {
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
  },
  failureStatuses: [500, 502, 503, 504],
  fallback: undefined,
  shadow: false,
} as const;

/** The configuration of a document that is known to be valid. */
export function configOf(document: unknown): Config {
  const result = parseConfig(document);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.config;
}

/** The only route of a document with this route and these top-level fields. */
export function routeOf(fields: object, topLevel: object = {}): Route {
  const [route] = configOf({ ...topLevel, routes: [{ ...ROUTE, ...fields }] }).routes;
  if (route === undefined) throw new Error("no route");
  return route;
}

export function warningsOf(document: unknown): readonly ConfigWarning[] {
  const result = parseConfig(document);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.warnings;
}

/** Empty when the document is valid. */
export function problemsOf(document: unknown): readonly ConfigProblem[] {
  const result = parseConfig(document);
  return result.ok ? [] : result.problems;
}

/** The problems of a document with this one route. */
export function routeProblems(fields: object, topLevel: object = {}): readonly ConfigProblem[] {
  return problemsOf({ ...topLevel, routes: [fields] });
}
