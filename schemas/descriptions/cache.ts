import { DEFAULT_CACHE } from "../cache-policy.ts";
import {
  CacheQuerySchema,
  CacheSchema,
  CacheTierSchema,
  CacheTiersSchema,
  CookieKeySchema,
} from "../policies/cache.ts";
import { formatMs } from "../values/duration.ts";
import { enabled, section } from "./section.ts";

const cache = section(
  "Cache",
  CacheSchema,
  "Keeps responses of GET for everybody who asks the same, as RFC 9111 allows a shared cache. What its origin calls private, what sets a cookie and what nobody named a time for is never kept. Bare numbers of durations count seconds. `true` stands for the defaults.",
  {
    enabled,
    ttl: {
      meaning: "How long a success is fresh (200, 203, 204, 300, 301, 308) of which its origin says nothing.",
      standard: "it is not kept",
    },
    respectCacheControl: {
      meaning:
        "`true`: the origin's explicit freshness wins and `ttl` counts only where it says nothing. `false`: `ttl` overrides its `max-age`. Private responses are never kept either way.",
      standard: `\`${DEFAULT_CACHE.respectCacheControl}\``,
    },
    respectRequestDirectives: {
      meaning: "Whether a request's own `Cache-Control` counts: whoever may say `no-cache` may send every request on.",
      standard: `\`${DEFAULT_CACHE.respectRequestDirectives}\``,
    },
    heuristics: {
      meaning:
        "Whether a `Last-Modified` alone makes a response fresh, for a tenth of the time since then and at most a day.",
      standard: "`true`",
    },
    negativeTtl: {
      meaning: 'How long other statuses are fresh of which the origin says nothing, such as `{ "404": "10s" }`.',
      standard: "`{}`",
    },
    staleWhileRevalidate: {
      meaning:
        "How long a response may be given after its time while it is fetched anew, where it does not say itself.",
      standard: `\`${DEFAULT_CACHE.staleWhileRevalidateMs}\``,
    },
    staleIfError: {
      meaning:
        "How long after its time while the origin answers 500, 502, 503 or 504, or too late, where it does not say itself.",
      standard: `\`${DEFAULT_CACHE.staleIfErrorMs}\``,
    },
    grace: {
      meaning: "How long after its time while the origin cannot be reached at all.",
      standard: `\`"${formatMs(DEFAULT_CACHE.graceMs)}"\``,
    },
    cookies: {
      meaning:
        'What a request\'s cookies mean: `"bypass"`, it goes past the cache; `"strip"`, nobody sees them, the origin neither; or the names of those that are part of the key, of which alone the origin is told.',
      standard: '`"bypass"`',
    },
    authorization: {
      meaning:
        'What an `Authorization` means: `"bypass"`, it goes past the cache; `"public"`, everybody gets what the origin marks `public`, `s-maxage` or `must-revalidate`; `"key"`, each value has entries of its own, without the origin being asked again for as long as they are fresh.',
      standard: '`"bypass"`',
    },
    stripSetCookie: {
      meaning:
        "Takes `Set-Cookie` out of all the route's responses to requests that may be answered from the cache, so that they can be kept.",
      standard: `\`${DEFAULT_CACHE.stripSetCookie}\``,
    },
    query: { meaning: "Which parameters of the query count. Others are not sent to the origin.", standard: "all" },
    maxBodySize: { meaning: "Bytes of the largest body that is kept, at most 32 MiB.", standard: '`"8MiB"`' },
    tags: {
      meaning:
        "What all of the route can be purged by, beside `Cache-Tag`, `Surrogate-Key` and `Cache-Groups` of its responses.",
      standard: "`[]`",
    },
    groupInvalidation: {
      meaning:
        "Whether `Cache-Group-Invalidation` (RFC 9875) in answers to unsafe requests counts: what is kept of the same scheme and host in a group that it names has to be confirmed. Routes that have it on invalidate one another's, so switch it on where all of them belong to one party.",
      standard: `\`${DEFAULT_CACHE.groupInvalidation}\``,
    },
    tiers: { meaning: "Which tiers are used, of those that are bound.", standard: "all" },
  },
);

const cookies = section("CookieKey", CookieKeySchema, "Cookies that tell entries apart.", {
  key: { meaning: "Names, in their case. Required." },
});

const query = section(
  "CacheQuery",
  CacheQuerySchema,
  "Which parameters of a query count, compared as they are written.",
  {
    only: { meaning: "These alone." },
    without: { meaning: "All but these." },
    sorted: {
      meaning: "Whether their order is made the same, by name, in the key and towards the origin.",
      standard: "`false`",
    },
  },
);

const tiers = section("CacheTiers", CacheTiersSchema, "Where responses are kept, from the nearest to the largest.", {
  colo: {
    meaning: "The Cache API, one in each place.",
    standard: `on, \`"${formatMs(DEFAULT_CACHE.tiers.colo?.deadlineMs ?? 0)}"\``,
  },
  kv: {
    meaning: "The namespace `PROXY_CACHE`: what is small and was asked for again, or all that is small without R2.",
    standard: `on, \`"${formatMs(DEFAULT_CACHE.tiers.kv?.deadlineMs ?? 0)}"\`, \`"256KiB"\``,
  },
  r2: {
    meaning: "The bucket `CACHE_BUCKET`: all else.",
    standard: `on, \`"${formatMs(DEFAULT_CACHE.tiers.r2?.deadlineMs ?? 0)}"\``,
  },
});

const tier = section("CacheTier", CacheTierSchema, "How a tier is used. `true` stands for the defaults.", {
  enabled,
  deadline: {
    meaning:
      "When the next tier is asked, and in the end the origin, where it has not answered. A bare number counts milliseconds.",
    standard: "by tier",
  },
  maxBodySize: { meaning: "Bytes of the largest body that it gets, at most 24 MiB.", standard: "by tier" },
});

/** Caching. */
export const cacheSections = [cache, cookies, query, tiers, tier];
