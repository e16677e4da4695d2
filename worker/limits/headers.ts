import type { RateLimit } from "../../schemas/index.ts";

/** The largest integer of a structured field (RFC 9651, section 3.3.1); a parser refuses the whole field beyond it. */
const MAX_INTEGER = 999_999_999_999_999;

/** What one limit said about a request. */
export interface Verdict {
  readonly limit: RateLimit;
  readonly label: Label;
  readonly allowed: boolean;
  /** Whole tokens left. */
  readonly remaining: number;
  /** Milliseconds until the same request would pass; null: never. 0 when allowed. */
  readonly retryAfterMs: number | null;
  /** Of a window that everyone's tokens come back with at once: milliseconds until it ends. Absent: there is no such moment. */
  readonly resetMs?: number;
}

/** The parts of a limit's header values that are the same for all requests of a client: made once where one is remembered. */
export interface Label {
  /** Its item of `RateLimit-Policy`. */
  readonly policy: string;
  /** What goes before and behind the numbers in its item of `RateLimit`. */
  readonly before: string;
  readonly behind: string;
  /** What one token is told as: 1, or its bytes where a limit is about bytes. */
  readonly perToken: number;
}

/** @param client the opaque handle, which is Base64 as it stands: what `pk` shows. */
export function labelOf(limit: RateLimit, client: string): Label {
  const behind = `;pk=:${client}:`;
  const policy = `"${limit.name}";${quotaOf(limit)}${behind}`;
  return { policy, before: `"${limit.name}";r=`, behind, perToken: bytesPerToken(limit) ?? 1 };
}

/**
 * `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10, structured fields of RFC 9651). Of a bucket
 * `t` is sent only when nothing is left: it has no reset, and then both readings of the drafts agree with `Retry-After`.
 */
export function rateLimitHeaders(verdicts: readonly Verdict[]): [name: string, value: string][] {
  let policies = "";
  let states = "";
  let legacy: Verdict | undefined;
  for (const verdict of verdicts) {
    const separator = states === "" ? "" : ", ";
    policies = separator === "" ? verdict.label.policy : `${policies}${separator}${verdict.label.policy}`;
    states += separator + stateOf(verdict);
    if (verdict.limit.legacyHeaders) legacy ??= verdict;
  }
  const headers: [string, string][] = [
    ["ratelimit-policy", policies],
    ["ratelimit", states],
  ];
  if (legacy === undefined) return headers;
  headers.push(
    ["x-ratelimit-limit", String(legacy.limit.requestsPerWindow * legacy.label.perToken)],
    ["x-ratelimit-remaining", String(legacy.remaining * legacy.label.perToken)],
  );
  const resetMs = legacy.resetMs ?? legacy.retryAfterMs;
  if (resetMs !== null) headers.push(["x-ratelimit-reset", String(seconds(resetMs))]);
  return headers;
}

function stateOf({ label, remaining, allowed, retryAfterMs, resetMs }: Verdict): string {
  const waitMs = allowed ? resetMs : retryAfterMs;
  const wait = waitMs === undefined || waitMs === null ? "" : `;t=${seconds(waitMs)}`;
  return `${label.before}${Math.min(remaining * label.perToken, MAX_INTEGER)}${wait}${label.behind}`;
}

function quotaOf(limit: RateLimit): string {
  const { algorithm, requestsPerWindow, windowMs } = limit;
  if (algorithm === "concurrency") return `q=${Math.min(requestsPerWindow, MAX_INTEGER)};qu="concurrent-requests"`;
  // No sub-second windows in the draft: a shorter window is told as the quota of one second.
  const isShort = windowMs < 1000;
  const tokens = isShort ? inOneSecond(requestsPerWindow, windowMs) : requestsPerWindow;
  const bytes = bytesPerToken(limit);
  const unit = bytes === undefined ? "" : ';qu="content-bytes"';
  return `q=${Math.min(tokens * (bytes ?? 1), MAX_INTEGER)}${unit};w=${isShort ? 1 : Math.ceil(windowMs / 1000)}`;
}

/** Undefined: the limit counts something else. On a route that multiplies costs a token is no certain number of bytes. */
function bytesPerToken({ settle, multiplier }: RateLimit): number | undefined {
  return settle?.kind === "bytes" && multiplier === 1 ? settle.bytesPerToken : undefined;
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
