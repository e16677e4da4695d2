import { currentAge } from "./age.ts";
import type { Freshness } from "./freshness.ts";
import type { PurgeVerdict } from "../../objects/control-plane/purge.ts";
import { NO_REQUEST_RULES, type RequestRules } from "./request-rules.ts";
import type { StoredResponse } from "./stored-response.ts";

/** A response that is kept, what it may be used for, and whether it has been purged since. */
export interface Candidate {
  readonly stored: StoredResponse;
  readonly freshness: Freshness;
  readonly purge: PurgeVerdict;
}

/** How a request is to be answered. Durations in ms; `ttlMs` is negative for what is stale. */
export type Answer =
  /** With what is kept. */
  | { readonly kind: "fresh"; readonly ageMs: number; readonly ttlMs: number }
  /** With what is kept, and it is fetched anew behind the client's back where that is what allows it. */
  | { readonly kind: "stale"; readonly ageMs: number; readonly ttlMs: number; readonly refresh: boolean }
  /** The origin has to be asked whether it is still right. */
  | { readonly kind: "validate"; readonly why: "stale" | "no-cache" | "request"; readonly ttlMs: number }
  /** By the origin: nothing that is kept can be used. */
  | { readonly kind: "miss" }
  /** 504: the client wants nothing but what is kept (RFC 9111, section 5.2.1.7). */
  | { readonly kind: "unsatisfiable" };

/** How a request to the origin failed: no connection, no answer in time, an answer that says so. */
export type OriginFailure = "unreachable" | "timeout" | "error-status";

/** RFC 5861, section 4. */
const ERROR_STATUSES: ReadonlySet<number> = new Set([500, 502, 503, 504]);

/** How a request may be answered from what is kept (RFC 9111, section 4; RFC 5861, section 3). */
export function answerOf(
  candidate: Candidate | undefined,
  now: number,
  request: RequestRules = NO_REQUEST_RULES,
): Answer {
  const answer = candidate === undefined ? ({ kind: "miss" } as const) : judge(candidate, now, request);
  const isSent = answer.kind === "miss" || answer.kind === "validate";
  return isSent && request.isOnlyIfCached ? { kind: "unsatisfiable" } : answer;
}

function judge(candidate: Candidate, now: number, request: RequestRules): Answer {
  const { freshness, purge } = candidate;
  if (purge.kind === "dead") return { kind: "miss" };
  const ageMs = currentAge(candidate.stored, now);
  const ttlMs = ttlOf(candidate, now);
  if (freshness.isNoCache) return { kind: "validate", why: "no-cache", ttlMs };
  if (request.isNoCache) return { kind: "validate", why: "request", ttlMs };
  const isTooOld = request.maxAgeMs !== undefined && ageMs > request.maxAgeMs;
  if (ttlMs > 0) {
    const isFreshEnough = request.minFreshMs === undefined || ttlMs >= request.minFreshMs;
    return !isTooOld && isFreshEnough ? { kind: "fresh", ageMs, ttlMs } : { kind: "validate", why: "request", ttlMs };
  }
  const staleMs = -ttlMs;
  if (isTooOld || request.minFreshMs !== undefined) return { kind: "validate", why: "request", ttlMs };
  if (staleMs < freshness.staleWhileRevalidateMs) return { kind: "stale", ageMs, ttlMs, refresh: true };
  const mayBeStale = request.maxStaleMs !== undefined && staleMs <= request.maxStaleMs && !freshness.isBound;
  return mayBeStale ? { kind: "stale", ageMs, ttlMs, refresh: false } : { kind: "validate", why: "stale", ttlMs };
}

/**
 * Whether what is kept may be given although it is stale, because the origin failed: within `stale-if-error`, and where it can't be
 * reached at all within the grace. Undefined: it may not.
 */
export function answerOnFailure(
  candidate: Candidate | undefined,
  failure: OriginFailure,
  now: number,
  request: RequestRules = NO_REQUEST_RULES,
): Extract<Answer, { kind: "stale" }> | undefined {
  if (candidate === undefined || candidate.purge.kind === "dead" || candidate.freshness.isBound) return undefined;
  const { freshness } = candidate;
  const graceMs = failure === "unreachable" ? freshness.graceMs : 0;
  const allowedMs = Math.max(freshness.staleIfErrorMs, request.staleIfErrorMs ?? 0, graceMs);
  const ttlMs = ttlOf(candidate, now);
  return -ttlMs < allowedMs
    ? { kind: "stale", ageMs: currentAge(candidate.stored, now), ttlMs, refresh: false }
    : undefined;
}

/** Whether a status says that the origin failed, so that something stale may be better. */
export function isErrorStatus(status: number): boolean {
  return ERROR_STATUSES.has(status);
}

/**
 * How long a response is worth keeping from now on, in ms: while it may be used, and where the origin can confirm it for as long again, at
 * least an hour.
 */
export function retentionOf(candidate: Candidate, now: number): number {
  const { freshness, stored } = candidate;
  const hasValidator = stored.fields.some(([name]) => name === "etag" || name === "last-modified");
  const again = hasValidator ? Math.max(freshness.lifetimeMs, 3_600_000) : 0;
  const staleMs = Math.max(freshness.staleWhileRevalidateMs, freshness.staleIfErrorMs, freshness.graceMs, again);
  return candidate.purge.kind === "dead" ? 0 : Math.max(0, ttlOf(candidate, now) + staleMs);
}

/** What is left of the lifetime; after a soft purge nothing, since then. */
function ttlOf(candidate: Candidate, now: number): number {
  const left = candidate.freshness.lifetimeMs - currentAge(candidate.stored, now);
  return candidate.purge.kind === "stale" ? Math.min(left, candidate.purge.since - now) : left;
}
