import type { Place } from "./placement-types.ts";
import type { LimitKey } from "./rate-limit-types.ts";
import type { ConcurrencyPolicy, Priority } from "./traffic-types.ts";

/** What a backend is, and how its targets are watched, shared and tried again, with every default filled in. Times in ms. */

/** Where requests go. */
export interface Backend {
  readonly name: string;
  /** At least one. */
  readonly targets: readonly Target[];
  readonly balance: BalancePolicy;
  /** Undefined: a client may meet any target with each request. */
  readonly sticky: StickyPolicy | undefined;
  /** Undefined: nobody probes the targets. */
  readonly healthCheck: HealthCheck | undefined;
  /** Undefined: nothing is tried again. */
  readonly retry: RetrySettings | undefined;
  /** Undefined: nothing is sent twice on suspicion. */
  readonly hedge: HedgePolicy | undefined;
  /** Its own, else the top level's; undefined: any number of requests may be in flight. */
  readonly concurrency: ConcurrencyPolicy | undefined;
  /** Undefined: nobody counts what it is asked. */
  readonly quota: QuotaSettings | undefined;
  /**
   * Its own, else the top level's; undefined: no breaker. What holds for requests that come as a fallback; for others it is
   * `Route.circuitBreaker`, which a route may have replaced.
   */
  readonly circuitBreaker: BreakerSettings | undefined;
}

/** One origin server. */
export interface Target {
  /** http or https, as the document writes it; no user info, query or fragment. */
  readonly url: string;
  /** Share of the traffic among the backend's targets; 0: no new client. Default 1. */
  readonly weight: number;
  /** It gets no new client, and keeps those that are bound to it. Default false. */
  readonly drain: boolean;
  /** Places that it is for; undefined: any. */
  readonly regions: readonly Place[] | undefined;
}

/** How a target is chosen. */
export interface BalancePolicy {
  /** Default `weighted-random`. */
  readonly algorithm: "weighted-random" | "round-robin" | "least-requests" | "power-of-two" | "rendezvous";
  /** With `rendezvous`: what is spread over the targets. Default the address; empty with every other algorithm. */
  readonly by: readonly LimitKey[];
  /** How long the weight of a target that has become well takes to rise to all of it. Default 0: at once. */
  readonly slowStartMs: number;
  /** The most of the targets that health checks may take away, in [0, 1]. Default 0.5. */
  readonly maxEjection: number;
  /** Below this share of healthy targets health checks are ignored, in [0, 1]. Default 0.5. */
  readonly panicThreshold: number;
}

/** How a client is kept with the target that it met first. */
export interface StickyPolicy {
  readonly by: "cookie" | "header";
  /** Of the cookie (default `sluice_target`), or of the header, lower-cased (default `x-sluice-target`). */
  readonly name: string;
  /** How long a binding holds. Default 23 h; 0: as long as the client's session. */
  readonly ttlMs: number;
}

/** How a target is probed: once for the whole fleet. */
export interface HealthCheck {
  /** Below the target's URL; may have a query. Starts with "/". */
  readonly path: string;
  /** Default GET. */
  readonly method: "GET" | "HEAD";
  /** From the beginning of a check to that of the next. Default 10 s. */
  readonly intervalMs: number;
  /** How long the whole answer may take. Default 2 s, never more than the interval. */
  readonly timeoutMs: number;
  /** Checks in a row that call a target well again. Default 2. */
  readonly rise: number;
  /** Failed checks in a row that call it down. Default 3. */
  readonly fall: number;
  /** Answers that mean well. Default 200 to 399. */
  readonly statuses: readonly StatusRange[];
  /** What the body must hold; undefined: anything. */
  readonly bodyIncludes: string | undefined;
}

/** Status codes, both ends included. */
export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

/** When a request is tried again. */
export interface RetrySettings {
  /** Retries beside the first try. At least 1. Default 2. */
  readonly maxRetries: number;
  /** Answers that are worth another try. Default 502, 503 and 504. */
  readonly statuses: readonly number[];
  /** How long one try may take until its response head; undefined: `timeouts.headers`. */
  readonly perTryMs: number | undefined;
  /** Waits: full jitter below a bound that doubles. Default 50 ms to 1 s. */
  readonly backoff: { readonly baseMs: number; readonly maxMs: number };
  /** Retries per request (default 0.2), and beside that a second, by the whole fleet (default 10). */
  readonly budget: { readonly ratio: number; readonly perSecond: number };
}

/** When a second request is sent because the first is slow. */
export interface HedgePolicy {
  /** How long the first may take; `p95`: as long as 95 of 100 do. Default `p95`. */
  readonly afterMs: number | "p95";
  /** Second requests per request. Default 0.05. */
  readonly budget: number;
}

/** How a backend is asked no more than it allows, by the whole fleet. */
export interface QuotaSettings {
  /** What has one name is one quota. Default the backend's. */
  readonly name: string;
  readonly policy: QuotaPolicy;
  /** How long a request waits for its slot at most, within `timeouts.total`. Default 20 s; 0: not at all. */
  readonly maxWaitMs: number;
  /** What a client is, for fair turns. Default its address. */
  readonly by: readonly LimitKey[];
  /** Of this backend's requests among all that share the quota; undefined: as each one's route says. */
  readonly priority: Priority | undefined;
  /** While the quota's owner is silent: `closed` refuses, `open` lets requests pass uncounted. Default `closed`. */
  readonly onError: "closed" | "open";
}

/** What an upstream allows, and what is done when it is asked for more. Times in ms. */
export interface QuotaPolicy {
  /** The most that may start in any `windowMs` (N); an integer >= 1. */
  readonly requests: number;
  readonly windowMs: number;
  /** How many may follow one another after a quiet time; from 1 to `requests`, which is the default. */
  readonly burst: number;
  /** The least between two starts. Default 0: none. */
  readonly spacingMs: number;
  /** Requests that may wait; default 100, at most 10,000; 0: none waits. */
  readonly maxQueue: number;
  /** The longest pause that the upstream can cause; default 10 min. */
  readonly maxPauseMs: number;
  /** Pauses after a 429 or 503 that names no time: the most of the first, doubled in a row up to `maxMs`. Default 1 s and 60 s. */
  readonly backoff: { readonly baseMs: number; readonly maxMs: number };
}

/** How the breaker of a target judges. Every field is filled in; times in ms. */
export interface BreakerPolicy {
  /** Failures in a row, seen by one isolate, that make it a voter for opening. At least 1. Default 5. */
  readonly failureThreshold: number;
  /** Share of failed calls in (0, 1] that opens, where there are `minimumCalls`. Default 0.5. */
  readonly failureRate: number;
  /** Calls in the window below which no ratio is judged. At least 1. Default 20. */
  readonly minimumCalls: number;
  /** The window, cut into ten parts. Default 10 s. */
  readonly windowMs: number;
  /** A call that lasts longer is slow. Default 5 s. */
  readonly slowCallMs: number;
  /** Share of slow calls in (0, 1] that opens; 1 switches the rule off. Default 1. */
  readonly slowCallRate: number;
  /** Successful probes that close. At least 1. Default 2. */
  readonly successThreshold: number;
  /** Probes in flight at once, fleet-wide. At least 1. Default 3. */
  readonly halfOpenPermits: number;
  /** Failed probes that are put up with before it opens again. Default 0. */
  readonly halfOpenMaxFailures: number;
  /** How long it stays open the first time; doubles with each opening in a row. Default 60 s. */
  readonly openMs: number;
  /** The longest it stays open, before `jitter`. Default 10 min. */
  readonly openMaxMs: number;
  /** The longest a call may last. Whoever starts a probe must end it by then, or the promise is void. Default 10 s. */
  readonly operationTimeoutMs: number;
  /** The open time is spread by this share to either side, in [0, 1). Default 0.2. */
  readonly jitter: number;
}

/** The breaker of the targets that a route's requests go to. One URL has one breaker, whichever routes use it. */
export interface BreakerSettings {
  readonly policy: BreakerPolicy;
  /** Answers that are failures. Default 500, 502, 503 and 504. */
  readonly failureStatuses: readonly number[];
  /** What a refused request gets instead; undefined: 503 `breaker-open`. */
  readonly fallback: Fallback | undefined;
  /** Count, report and note, but never refuse. Default false. */
  readonly shadow: boolean;
}

/** What a request gets that no target may serve. */
export type Fallback =
  /** Key of `Config.backends`; never the backend that it stands in for. */
  | { readonly kind: "backend"; readonly backend: string }
  | {
      readonly kind: "response";
      readonly status: number;
      /** Names are lower-cased. */
      readonly headers: readonly (readonly [string, string])[];
      readonly body: string;
    };
