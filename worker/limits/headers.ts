import type { RateLimit } from "../../schemas/index.ts";

/** The largest integer of a structured field (RFC 9651, section 3.3.1); a parser refuses the whole field beyond it. */
const MAX_INTEGER = 999_999_999_999_999;

/** What one limit said about a request. */
export interface Verdict {
  readonly limit: RateLimit;
  /** The client's opaque handle, which is Base64 as it stands: what `pk` shows. */
  readonly partitionKey: string;
  readonly allowed: boolean;
  /** Whole tokens left. */
  readonly remaining: number;
  /** Milliseconds until the same request would pass; null: never. 0 when allowed. */
  readonly retryAfterMs: number | null;
}

/**
 * `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10, structured fields of RFC 9651). `t` is sent
 * only when nothing is left: a bucket has no reset, and then both readings of the drafts agree with `Retry-After`.
 */
export function rateLimitHeaders(verdicts: readonly Verdict[]): [name: string, value: string][] {
  const policies = verdicts.map(({ limit, partitionKey }) => {
    const { windowMs, requestsPerWindow } = limit;
    // No sub-second windows in the draft: a shorter window is told as the quota of one second.
    const isShort = windowMs < 1000;
    const quota = isShort ? inOneSecond(requestsPerWindow, windowMs) : requestsPerWindow;
    return `"${limit.name}";q=${Math.min(quota, MAX_INTEGER)};w=${isShort ? 1 : Math.ceil(windowMs / 1000)};pk=:${partitionKey}:`;
  });
  const states = verdicts.map(({ limit, partitionKey, remaining, allowed, retryAfterMs }) => {
    const wait = allowed || retryAfterMs === null ? "" : `;t=${seconds(retryAfterMs)}`;
    return `"${limit.name}";r=${Math.min(remaining, MAX_INTEGER)}${wait};pk=:${partitionKey}:`;
  });
  const headers: [string, string][] = [
    ["ratelimit-policy", policies.join(", ")],
    ["ratelimit", states.join(", ")],
  ];
  const legacy = verdicts.find(({ limit }) => limit.legacyHeaders);
  if (legacy === undefined) return headers;
  headers.push(
    ["x-ratelimit-limit", String(legacy.limit.requestsPerWindow)],
    ["x-ratelimit-remaining", String(legacy.remaining)],
  );
  if (legacy.retryAfterMs !== null) headers.push(["x-ratelimit-reset", String(seconds(legacy.retryAfterMs))]);
  return headers;
}

/** Whole windows and the rest apart: together they could pass 2^53. */
function inOneSecond(requestsPerWindow: number, windowMs: number): number {
  const rest = Math.floor(((requestsPerWindow % windowMs) * 1000) / windowMs);
  return Math.floor(requestsPerWindow / windowMs) * 1000 + rest;
}

/** `Retry-After` in whole seconds, at least 1 (RFC 9110 10.2.3; 0 invites a storm). */
export function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}
