import { Token, serializeItem, type BareItem } from "structured-headers";

/** What the cache did with a request. Durations in ms. */
export type CacheOutcome =
  | { readonly kind: "hit"; readonly ttlMs: number; readonly detail: string | undefined }
  | {
      readonly kind: "forwarded";
      readonly why: "bypass" | "method" | "uri-miss" | "vary-miss" | "request" | "stale";
      /** Undefined where it is the response's own. */
      readonly status: number | undefined;
      readonly ttlMs: number | undefined;
      readonly isStored: boolean;
      /** Whether it waited for another's request; undefined: there was none to wait for. */
      readonly isCollapsed: boolean | undefined;
      readonly detail: string | undefined;
    };

/** RFC 9651, section 3.3.4. */
const TOKEN = /^[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*$/;

/**
 * The `Cache-Status` of a response (RFC 9211): what caches before us said, then our own member. `hit` and `fwd` are never both there. Not
 * for errors that the gateway itself makes.
 *
 * @param before the field as the origin's response has it; null: it has none.
 */
export function cacheStatus(before: string | null, outcome: CacheOutcome, key?: string): string {
  const parameters = new Map<string, BareItem>();
  if (outcome.kind === "hit") {
    parameters.set("hit", true).set("ttl", seconds(outcome.ttlMs));
  } else {
    parameters.set("fwd", new Token(outcome.why));
    if (outcome.status !== undefined) parameters.set("fwd-status", outcome.status);
    if (outcome.ttlMs !== undefined) parameters.set("ttl", seconds(outcome.ttlMs));
    if (outcome.isStored) parameters.set("stored", true);
    if (outcome.isCollapsed !== undefined) parameters.set("collapsed", outcome.isCollapsed);
  }
  if (key !== undefined) parameters.set("key", key);
  if (outcome.detail !== undefined) {
    parameters.set("detail", TOKEN.test(outcome.detail) ? new Token(outcome.detail) : outcome.detail);
  }
  const member = serializeItem([new Token("sluice"), parameters]);
  return before === null || before.trim() === "" ? member : `${before}, ${member}`;
}

/** The value of `X-Cache`. */
export type XCache = "HIT" | "MISS" | "STALE" | "REVALIDATED" | "BYPASS";

/** The short form of an outcome. */
export function xCache(outcome: CacheOutcome): XCache {
  if (outcome.kind === "hit") return outcome.ttlMs > 0 ? "HIT" : "STALE";
  if (outcome.why === "bypass" || outcome.why === "method") return "BYPASS";
  return outcome.status === 304 ? "REVALIDATED" : "MISS";
}

/** Rounded down, so that nobody counts on a second that isn't there. */
function seconds(ms: number): number {
  return Math.floor(ms / 1_000);
}
