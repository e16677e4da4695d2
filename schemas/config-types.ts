import type { Backend, BreakerSettings } from "./backend-types.ts";
import type { CachePolicy } from "./cache-policy.ts";
import type { DeduplicationSettings } from "./deduplication-types.ts";
import type { IdempotencySettings } from "./idempotency-types.ts";
import type { CanaryPolicy, GeoPolicy } from "./placement-types.ts";
import type { RateLimit } from "./rate-limit-types.ts";
import type { BatchPolicy, MirrorSettings, PriorityPolicy } from "./traffic-types.ts";
import type { WebSocketSettings } from "./web-socket-types.ts";

/**
 * The configuration as the gateway works from it: every default filled in, durations in milliseconds, sizes in bytes,
 * top-level policies already resolved into each route. `parseConfig` is the only maker of these values.
 */

/** A whole document, ready to be compiled into matchers and chains. */
export interface Config {
  /** In the order of the document: ties between equally specific routes are broken by it. */
  readonly routes: readonly Route[];
  /** By name. A route that was written with `target` has a backend of its own, named `route:<routeId>`. */
  readonly backends: ReadonlyMap<string, Backend>;
  /** Undefined: the variable `CLIENT_IP_SOURCE` decides. */
  readonly clientIp: ClientIp | undefined;
  readonly admin: AdminPolicy;
  readonly endpoints: Endpoints;
  readonly logging: LoggingPolicy;
  readonly limiter: LimiterPolicy;
  /** Undefined: there is no such endpoint. */
  readonly batch: BatchPolicy | undefined;
  /** Lets targets be private, loopback and link-local addresses. Default false. */
  readonly allowPrivateTargets: boolean;
}

/** Where the client's address is taken from. */
export type ClientIp =
  | { readonly source: "cloudflare" }
  | { readonly source: "socket" }
  | {
      readonly source: "header";
      /** Lower-cased, such as `x-forwarded-for`. */
      readonly header: string;
      /** CIDR blocks; the rightmost address of the header that is in none of them is the client. */
      readonly trustedProxies: readonly string[];
    };

/** The admin API. Without an admin token it answers 404 even when enabled. */
export interface AdminPolicy {
  readonly enabled: boolean;
  /** Starts with "/", does not end with one. Default `/admin`. */
  readonly prefix: string;
  /** Whether operators may see the messages of WebSocket sessions. Default true. */
  readonly tap: boolean;
}

/** Paths of the gateway's own endpoints; undefined: switched off. */
export interface Endpoints {
  readonly healthz: string | undefined;
  readonly readyz: string | undefined;
  readonly health: string | undefined;
}

/** One JSON line per exchange. Default on. */
export interface LoggingPolicy {
  readonly enabled: boolean;
}

/** How much an isolate remembers of the clients that it serves. */
export interface LimiterPolicy {
  /** Clients whose leases and refusals are known by heart at once; the one seen longest ago goes. Default 1,000. */
  readonly tableEntries: number;
}

/** What a request must look like, and what then happens to it. */
export interface Route {
  /** Unique; derived from methods, host and path when the document gives none. */
  readonly id: string;
  readonly path: RoutePath;
  /** Lower-cased `example.com`, `*.example.com`, either with `:port`; undefined: any. */
  readonly hosts: readonly string[] | undefined;
  /** Upper case; undefined: any. */
  readonly methods: readonly string[] | undefined;
  /** All must match. Names are lower-cased. */
  readonly headers: readonly HeaderMatch[];
  /** All must match. Names are case-sensitive. */
  readonly query: readonly HeaderMatch[];
  /** Key of `Config.backends`. */
  readonly backend: string;
  /**
   * The route as it is with each other backend that its requests may be placed at: with that one's timeouts, and its breaker where the
   * route has none of its own; `timeouts.total` is the route's. Empty: there is only one.
   */
  readonly alternatives: readonly Route[];
  /** Undefined: no limits (`sizeLimits: false`). */
  readonly sizeLimits: SizeLimits | undefined;
  readonly timeouts: Timeouts;
  /** Checked and deducted together; empty: unlimited. */
  readonly rateLimits: readonly RateLimit[];
  /** Of the route, else of its backend, else of the top level; undefined: no breaker. */
  readonly circuitBreaker: BreakerSettings | undefined;
  /** Undefined: nothing is kept (`cache: false`, or none). */
  readonly cache: CachePolicy | undefined;
  /** Undefined: each request is made by itself. */
  readonly deduplication: DeduplicationSettings | undefined;
  /** Undefined: nothing is made of idempotency keys. */
  readonly idempotency: IdempotencySettings | undefined;
  /** Undefined: it doesn't matter where requests come from. */
  readonly geo: GeoPolicy | undefined;
  /** Undefined: there is one version. */
  readonly canary: CanaryPolicy | undefined;
  /** Undefined: an upgrade is an ordinary request. */
  readonly webSocket: WebSocketSettings | undefined;
  /** Undefined: every request is `normal`. */
  readonly priority: PriorityPolicy | undefined;
  /** Undefined: nothing is copied. */
  readonly mirror: MirrorSettings | undefined;
}

/** A prefix (stripped before the target's path is joined) or a pattern such as `/users/:id` or `/files/*`. */
export interface RoutePath {
  readonly kind: "prefix" | "pattern";
  readonly value: string;
}

/** A condition on one header or query parameter. */
export interface HeaderMatch {
  readonly name: string;
  readonly kind: "exact" | "present" | "regex";
  /** The exact value, or the regular expression's source (compiled with the `u` flag, searched, not anchored); "" for `present`. */
  readonly value: string;
}

/** What a request may weigh. */
export interface SizeLimits {
  /** Bytes of body. Default 10 MiB. */
  readonly maxBodySize: number;
  /** Bytes of path and query as received. Default 8192. */
  readonly maxUrlLength: number;
  /** Bytes of all header names and values. Default 32768. */
  readonly maxHeaderSize: number;
  /** Default 100. */
  readonly maxHeaderCount: number;
  /** Upper case; undefined: any method that the gateway forwards at all. */
  readonly methods: readonly string[] | undefined;
}

/** Deadlines in milliseconds. */
export interface Timeouts {
  /** From the moment the request has been sent to the origin until its response head. Default 10 s. */
  readonly headers: number;
  /** From the request's arrival until the response head, all tries and queues included. Default 30 s. */
  readonly total: number;
  /** Longest silence inside a body, in either direction. Default 60 s. */
  readonly idle: number;
  /** From the request's arrival until its body has been received whole. Default 30 s. */
  readonly requestBody: number;
}

/** What came of a document. */
export type ConfigResult =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly ConfigWarning[] }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/** One thing wrong with a document. */
export interface ConfigProblem {
  /** Such as `routes[0].rateLimit.burst`; "" is the document itself, `line 3, column 7` a place in a text that does not parse. */
  readonly path: string;
  readonly got: string;
  /** What was wanted, with the cure where there is one. */
  readonly wanted: string;
}

/** Something that loads but deserves a look, such as a field that does not act yet. */
export interface ConfigWarning {
  readonly path: string;
  readonly message: string;
}
