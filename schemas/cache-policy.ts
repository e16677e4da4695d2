/** How a route caches. Durations in ms. */
export interface CachePolicy {
  /** How long a response is fresh of which its origin says nothing; undefined: it isn't kept. */
  readonly ttlMs: number | undefined;
  /** Whether the origin's explicit freshness wins over `ttlMs`. What it says of privacy always wins. */
  readonly respectCacheControl: boolean;
  /** Fields that speak to us alone (RFC 9213), lower-case, the most specific first. */
  readonly targetedFields: readonly string[];
  /** For statuses other than a success of which the origin says nothing. */
  readonly negativeTtlMs: ReadonlyMap<number, number>;
  /** Statuses that may be kept by their `Last-Modified` alone; empty switches heuristics off. */
  readonly heuristicStatuses: ReadonlySet<number>;
  /** For responses that don't say themselves. */
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  /** How long after its time a response may be given where the origin can't be reached at all. */
  readonly graceMs: number;
  /** Whether a request's own `Cache-Control` counts. */
  readonly respectRequestDirectives: boolean;
  readonly cookies: CookieRule;
  readonly authorization: AuthorizationRule;
  /** Whether `Set-Cookie` is taken out of responses, for everybody; else such a response is never kept. */
  readonly stripSetCookie: boolean;
  /** Which parameters of the query the origin sees, and which the key. */
  readonly query: QueryRule;
  /** Bytes of the largest body that is kept. */
  readonly maxBytes: number;
  /** What all of the route can be purged by, beside the tags that its origin names. */
  readonly tags: readonly string[];
  /** Whether `Cache-Group-Invalidation` of its answers reaches what is kept of the same origin, and others' reach what is kept of it. */
  readonly groupInvalidation: boolean;
  readonly tiers: CacheTiers;
}

/** Which tiers a route uses; undefined: not this one. One without its binding is not there, whatever is said here. */
export interface CacheTiers {
  /** The Cache API of each place. */
  readonly colo: CacheTier | undefined;
  /** KV, for what is small and hot. */
  readonly kv: CacheTier | undefined;
  /** R2, for all else. */
  readonly r2: CacheTier | undefined;
}

/** How a tier is used. */
export interface CacheTier {
  /** The next one is asked, and in the end the origin, where it has not answered by then, in ms. */
  readonly deadlineMs: number;
  /** Bytes of the largest body that it gets. */
  readonly maxBytes: number;
}

/** What a request's cookies mean: it goes past the cache; they are taken out, upstream too; those named are part of the key. */
export type CookieRule =
  | { readonly kind: "bypass" }
  | { readonly kind: "strip" }
  | { readonly kind: "key"; readonly names: readonly string[] };

/**
 * What credentials mean: the request goes past the cache; RFC 9111, section 3.5 decides by the response; each principal has entries of its
 * own.
 */
export type AuthorizationRule = "bypass" | "public" | "key";

/** Which parameters of a query count. Those that don't are not sent upstream either. */
export type QueryRule =
  | { readonly kind: "all"; readonly isSorted: boolean }
  | { readonly kind: "only" | "without"; readonly names: readonly string[]; readonly isSorted: boolean };

/**
 * Statuses that are heuristically cacheable by RFC 9110, section 15.1, without 206, which we don't keep, and without 414 and 501: an
 * attacker can provoke those for a URL of others ("CPDoS", Nguyen et al., 2019).
 */
export const HEURISTIC_STATUSES: ReadonlySet<number> = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410]);

/** Statuses that `ttlMs` is for: successes and what redirects for good. Others have `negativeTtlMs`. */
export const TTL_STATUSES: ReadonlySet<number> = new Set([200, 203, 204, 300, 301, 308]);

/** What holds where nothing is configured: no default ttl, nothing of anybody's own, a minute when the origin is gone. */
export const DEFAULT_CACHE: CachePolicy = {
  ttlMs: undefined,
  respectCacheControl: true,
  targetedFields: ["sluice-cache-control", "cdn-cache-control", "surrogate-control"],
  negativeTtlMs: new Map(),
  heuristicStatuses: HEURISTIC_STATUSES,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  graceMs: 60_000,
  respectRequestDirectives: false,
  cookies: { kind: "bypass" },
  authorization: "bypass",
  stripSetCookie: false,
  query: { kind: "all", isSorted: false },
  maxBytes: 8 * 2 ** 20,
  tags: [],
  // Which routes of a host belong to one party only its operator knows: what one names would be confirmed at all others' cost.
  groupInvalidation: false,
  tiers: {
    colo: { deadlineMs: 150, maxBytes: Infinity },
    kv: { deadlineMs: 100, maxBytes: 256 * 2 ** 10 },
    r2: { deadlineMs: 250, maxBytes: Infinity },
  },
};
