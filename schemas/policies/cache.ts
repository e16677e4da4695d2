import * as v from "valibot";
import {
  DEFAULT_CACHE,
  type CachePolicy,
  type CacheTier,
  type CacheTiers,
  type CookieRule,
  type QueryRule,
} from "../cache-policy.ts";
import { closedObject, objectOf } from "../document/closed-object.ts";
import { byteSize } from "../values/byte-size.ts";
import { duration } from "../values/duration.ts";
import { flag, listOf, oneOf, token } from "../values/primitives.ts";
import { isOn, switchable } from "./policy.ts";

const COOKIES = '"bypass", "strip", or { "key": ["name"] }';
const STATUS = 'a status from 300 to 599 as a text, such as "404", but not 304';
const TAG = "a tag: 1 to 1,024 visible ASCII characters, without commas";
const PARAMETER = "the name of a query parameter, as it is written in URLs";

/** 0: not at all. */
const staleTime = duration("s", { min: 0 });
const cookieNames = listOf(token("the name of a cookie"), "an array of cookie names");
const parameters = listOf(
  v.pipe(v.string(PARAMETER), v.regex(/^[^&=#\s]+$/, PARAMETER)),
  "an array of names of query parameters",
);
const tag = v.pipe(v.string(TAG), v.regex(/^[\x21-\x2b\x2d-\x7e]{1,1024}$/, TAG));
const status = v.pipe(v.string(STATUS), v.regex(/^(?!304)[345]\d\d$/, STATUS));

/** Cookies that are part of the key. */
export const CookieKeySchema = closedObject({ key: cookieNames }, { wanted: COOKIES });

/** Which parameters of a query count. */
export const CacheQuerySchema = v.pipe(
  closedObject({ only: v.optional(parameters), without: v.optional(parameters), sorted: v.optional(flag) }),
  v.forward(
    v.partialCheck(
      [["only"], ["without"]],
      ({ only, without }) => only === undefined || without === undefined,
      'either "only" or "without"',
    ),
    ["without"],
  ),
);

/** How a tier is used. */
export const CacheTierSchema = closedObject({
  enabled: v.optional(flag),
  deadline: v.optional(duration("ms")),
  // KV takes 25 MiB.
  maxBodySize: v.optional(v.pipe(byteSize(1), v.maxValue(24 * 2 ** 20, "at most 24 MiB"))),
});

const tier = switchable(CacheTierSchema);

/** Which tiers are used. */
export const CacheTiersSchema = closedObject({
  colo: v.optional(tier),
  kv: v.optional(tier),
  r2: v.optional(tier),
});

/** Keeping responses. */
export const CacheSchema = closedObject({
  enabled: v.optional(flag),
  ttl: v.optional(duration("s")),
  respectCacheControl: v.optional(flag),
  respectRequestDirectives: v.optional(flag),
  heuristics: v.optional(flag),
  negativeTtl: v.optional(objectOf(status, duration("s"), "an object from statuses to durations")),
  staleWhileRevalidate: v.optional(staleTime),
  staleIfError: v.optional(staleTime),
  grace: v.optional(staleTime),
  cookies: v.optional(v.union([v.literal("bypass", COOKIES), v.literal("strip", COOKIES), CookieKeySchema], COOKIES)),
  authorization: v.optional(oneOf(["bypass", "public", "key"])),
  stripSetCookie: v.optional(flag),
  query: v.optional(CacheQuerySchema),
  // Each is whole in memory while it is written.
  maxBodySize: v.optional(v.pipe(byteSize(1), v.maxValue(32 * 2 ** 20, "at most 32 MiB"))),
  tags: v.optional(listOf(tag, "an array of tags")),
  groupInvalidation: v.optional(flag),
  tiers: v.optional(CacheTiersSchema),
});

/** `cache`: a switch or the policy. */
export const CachePolicySchema = switchable(CacheSchema);

/** What a level says of caching. */
export type CacheInput = v.InferOutput<typeof CachePolicySchema>;

/** The policy with its defaults; undefined: nothing is kept. */
export function resolveCache(policy: CacheInput | undefined): CachePolicy | undefined {
  const input: v.InferOutput<typeof CacheSchema> | false | undefined = policy === true ? {} : policy;
  if (!isOn(input)) return undefined;
  const negative = Object.entries(input.negativeTtl ?? {}).map(([code, ms]) => [Number(code), ms] as const);
  return {
    ttlMs: input.ttl,
    respectCacheControl: input.respectCacheControl ?? DEFAULT_CACHE.respectCacheControl,
    targetedFields: DEFAULT_CACHE.targetedFields,
    negativeTtlMs: new Map(negative),
    heuristicStatuses: input.heuristics === false ? new Set() : DEFAULT_CACHE.heuristicStatuses,
    staleWhileRevalidateMs: input.staleWhileRevalidate ?? DEFAULT_CACHE.staleWhileRevalidateMs,
    staleIfErrorMs: input.staleIfError ?? DEFAULT_CACHE.staleIfErrorMs,
    graceMs: input.grace ?? DEFAULT_CACHE.graceMs,
    respectRequestDirectives: input.respectRequestDirectives ?? DEFAULT_CACHE.respectRequestDirectives,
    cookies: cookieRule(input.cookies),
    authorization: input.authorization ?? DEFAULT_CACHE.authorization,
    stripSetCookie: input.stripSetCookie ?? DEFAULT_CACHE.stripSetCookie,
    query: queryRule(input.query),
    maxBytes: input.maxBodySize ?? DEFAULT_CACHE.maxBytes,
    tags: input.tags ?? DEFAULT_CACHE.tags,
    groupInvalidation: input.groupInvalidation ?? DEFAULT_CACHE.groupInvalidation,
    tiers: cacheTiers(input.tiers ?? {}),
  };
}

function cacheTiers({ colo, kv, r2 }: v.InferOutput<typeof CacheTiersSchema>): CacheTiers {
  const { tiers } = DEFAULT_CACHE;
  return { colo: cacheTier(colo, tiers.colo), kv: cacheTier(kv, tiers.kv), r2: cacheTier(r2, tiers.r2) };
}

function cacheTier(
  said: v.InferOutput<typeof tier> | undefined,
  standard: CacheTier | undefined,
): CacheTier | undefined {
  const input: v.InferOutput<typeof CacheTierSchema> | false = said === true || said === undefined ? {} : said;
  if (!isOn(input) || standard === undefined) return undefined;
  return { deadlineMs: input.deadline ?? standard.deadlineMs, maxBytes: input.maxBodySize ?? standard.maxBytes };
}

function cookieRule(input: v.InferOutput<typeof CacheSchema>["cookies"]): CookieRule {
  if (input === undefined) return DEFAULT_CACHE.cookies;
  return typeof input === "string" ? { kind: input } : { kind: "key", names: [...new Set(input.key)] };
}

function queryRule(input: v.InferOutput<typeof CacheQuerySchema> | undefined): QueryRule {
  const isSorted = input?.sorted ?? false;
  if (input?.only !== undefined) return { kind: "only", names: input.only, isSorted };
  if (input?.without !== undefined) return { kind: "without", names: input.without, isSorted };
  return { kind: "all", isSorted };
}
