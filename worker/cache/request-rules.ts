import type { CachePolicy } from "../../schemas/cache-policy.ts";
import { durationOf, parseCacheControl } from "./cache-control.ts";
import type { FieldReader } from "./fields.ts";

/** What a request asks of caches (RFC 9111, section 5.2.1). Durations in ms; undefined where it asks nothing. */
export interface RequestRules {
  readonly isNoCache: boolean;
  readonly isNoStore: boolean;
  readonly isOnlyIfCached: boolean;
  readonly maxAgeMs: number | undefined;
  readonly minFreshMs: number | undefined;
  /** Infinity: however stale. */
  readonly maxStaleMs: number | undefined;
  readonly staleIfErrorMs: number | undefined;
}

/** A request that asks nothing, and every request where its wishes don't count. */
export const NO_REQUEST_RULES: RequestRules = {
  isNoCache: false,
  isNoStore: false,
  isOnlyIfCached: false,
  maxAgeMs: undefined,
  minFreshMs: undefined,
  maxStaleMs: undefined,
  staleIfErrorMs: undefined,
};

/**
 * Reads what a request asks of caches, where that counts. It should not by default: whoever may send `no-cache` may send every request of
 * a route to its origin.
 */
export function requestRulesOf(
  fields: FieldReader,
  policy: Pick<CachePolicy, "respectRequestDirectives">,
): RequestRules {
  if (!policy.respectRequestDirectives) return NO_REQUEST_RULES;
  const directives = parseCacheControl(fields.get("cache-control"));
  // RFC 9111, section 5.4: Pragma counts where there is no Cache-Control.
  const isPragma = directives.size === 0 && (fields.get("pragma") ?? "").toLowerCase().includes("no-cache");
  return {
    isNoCache: isPragma || directives.has("no-cache"),
    isNoStore: directives.has("no-store"),
    isOnlyIfCached: directives.has("only-if-cached"),
    maxAgeMs: durationOf(directives, "max-age"),
    minFreshMs: durationOf(directives, "min-fresh"),
    maxStaleMs: directives.get("max-stale") === "" ? Infinity : durationOf(directives, "max-stale"),
    staleIfErrorMs: durationOf(directives, "stale-if-error"),
  };
}
