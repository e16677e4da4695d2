import { TTL_STATUSES, type CachePolicy } from "../../schemas/cache-policy.ts";
import { readerOf, type FieldReader } from "./fields.ts";
import { parseHttpDate } from "../http-date.ts";
import { rulesOf, type ResponseRules } from "./response-rules.ts";
import type { StoredResponse } from "./stored-response.ts";

/** How long a response may be used. Durations in ms. */
export interface Freshness {
  /** From its generation on; 0: never without asking. */
  readonly lifetimeMs: number;
  /** What says so. */
  readonly from:
    | "targeted"
    | "s-maxage"
    | "max-age"
    | "no-cache"
    | "expires"
    | "ttl"
    | "negative-ttl"
    | "heuristic"
    | "none";
  /** Has to be validated before each use. */
  readonly isNoCache: boolean;
  /** Its origin forbids stale use, for whatever reason. */
  readonly isBound: boolean;
  /** After its lifetime, for so long, while it is fetched anew. */
  readonly staleWhileRevalidateMs: number;
  /** After its lifetime, for so long, where the origin fails. */
  readonly staleIfErrorMs: number;
  /** The same where it can't be reached at all. */
  readonly graceMs: number;
}

/** What freshness is judged by. */
export interface Judged {
  readonly status: number;
  readonly fields: FieldReader;
  readonly rules: ResponseRules;
  /** When the head arrived, in ms since the epoch: what a missing `Date` is taken for. */
  readonly receivedAt: number;
}

/** RFC 9111, section 4.2.2 proposes a tenth of the time since the last change. */
const HEURISTIC_SHARE = 0.1;
const MAX_HEURISTIC_MS = 24 * 3_600_000;

/**
 * How long a response may be used: targeted field, `s-maxage`, `max-age`, `Expires`, then what the route says, then the heuristic, the
 * first that there is (RFC 9111, section 4.2.1). Where the route doesn't respect the origin's word its `ttl` comes first, for the statuses
 * that it is for.
 *
 * Stale use is forbidden by `no-cache`, `must-revalidate`, `proxy-revalidate` and `s-maxage` (sections 4.2.4 and 5.2.2.10), whatever
 * `stale-while-revalidate` says beside them.
 */
export function freshnessOf(judged: Judged, policy: CachePolicy): Freshness {
  const { rules } = judged;
  const isBound = rules.isNoCache || rules.mustRevalidate || rules.sMaxAgeMs !== undefined;
  return {
    ...lifetimeOf(judged, policy),
    isNoCache: rules.isNoCache,
    isBound,
    staleWhileRevalidateMs: isBound ? 0 : (rules.staleWhileRevalidateMs ?? policy.staleWhileRevalidateMs),
    staleIfErrorMs: isBound ? 0 : (rules.staleIfErrorMs ?? policy.staleIfErrorMs),
    graceMs: isBound ? 0 : policy.graceMs,
  };
}

/** The same of a response that is kept, by the policy of now: what a route changes holds at once. */
export function storedFreshness(stored: StoredResponse, policy: CachePolicy): Freshness {
  const { status, receivedAt } = stored;
  const fields = readerOf(stored.fields);
  return freshnessOf({ status, fields, rules: rulesOf(fields, policy.targetedFields), receivedAt }, policy);
}

/** Whether the origin itself said how long a response is fresh. Where it did not, the response has to prove itself harmless. */
export function isSaidByOrigin({ from }: Freshness): boolean {
  return from !== "ttl" && from !== "negative-ttl" && from !== "heuristic" && from !== "none";
}

function lifetimeOf(judged: Judged, policy: CachePolicy): Pick<Freshness, "lifetimeMs" | "from"> {
  const ttl = routeTtl(judged.status, policy);
  if (!policy.respectCacheControl && ttl?.from === "ttl") return ttl;
  return saidLifetime(judged) ?? ttl ?? heuristicLifetime(judged, policy);
}

function saidLifetime({ fields, rules, receivedAt }: Judged): Pick<Freshness, "lifetimeMs" | "from"> | undefined {
  if (rules.sMaxAgeMs !== undefined) return { lifetimeMs: rules.sMaxAgeMs, from: "s-maxage" };
  if (rules.maxAgeMs !== undefined) {
    return { lifetimeMs: rules.maxAgeMs, from: rules.from === "targeted" ? "targeted" : "max-age" };
  }
  if (rules.isNoCache) return { lifetimeMs: 0, from: "no-cache" };
  // RFC 9213, section 2.2: what speaks to us overrides Expires too, even where it says nothing of time.
  const expires = rules.from === "targeted" ? null : fields.get("expires");
  if (expires === null) return undefined;
  const until = parseHttpDate(expires, receivedAt);
  const date = parseHttpDate(fields.get("date"), receivedAt) ?? receivedAt;
  // RFC 9111, section 5.3: anything else, "0" above all, is in the past.
  return { lifetimeMs: until === undefined ? 0 : Math.max(0, until - date), from: "expires" };
}

function routeTtl(
  status: number,
  policy: CachePolicy,
): { lifetimeMs: number; from: "ttl" | "negative-ttl" } | undefined {
  const negative = policy.negativeTtlMs.get(status);
  if (negative !== undefined) return { lifetimeMs: negative, from: "negative-ttl" };
  if (policy.ttlMs === undefined || !TTL_STATUSES.has(status)) return undefined;
  return { lifetimeMs: policy.ttlMs, from: "ttl" };
}

function heuristicLifetime(judged: Judged, policy: CachePolicy): Pick<Freshness, "lifetimeMs" | "from"> {
  const { status, fields, rules, receivedAt } = judged;
  const isAllowed = policy.heuristicStatuses.has(status) || (rules.isPublic && policy.heuristicStatuses.size > 0);
  // An origin that speaks HTTP/1.0 alone can say no otherwise.
  const isForbidden = (fields.get("pragma") ?? "").toLowerCase().includes("no-cache");
  const changed = parseHttpDate(fields.get("last-modified"), receivedAt);
  if (!isAllowed || isForbidden || changed === undefined) return { lifetimeMs: 0, from: "none" };
  const date = parseHttpDate(fields.get("date"), receivedAt) ?? receivedAt;
  const lifetimeMs = Math.min(MAX_HEURISTIC_MS, Math.max(0, date - changed) * HEURISTIC_SHARE);
  return { lifetimeMs, from: "heuristic" };
}
