import { durationOf, parseCacheControl, type Directives } from "./cache-control.ts";
import type { FieldReader } from "./fields.ts";
import { targetedDirectives } from "./targeted-fields.ts";

/** What a response says of its own keeping. Durations in ms; undefined where it says nothing. */
export interface ResponseRules {
  /** Where the directives come from: a targeted field, `Cache-Control`, or neither. */
  readonly from: "targeted" | "cache-control" | "none";
  readonly isNoStore: boolean;
  readonly isPrivate: boolean;
  readonly isPublic: boolean;
  /** Must be validated before each use. */
  readonly isNoCache: boolean;
  /** RFC 9111, section 3.5: it may be shared although its request had credentials. */
  readonly allowsAuthorized: boolean;
  /** `must-revalidate`, or `proxy-revalidate`, which is the same to a shared cache. */
  readonly mustRevalidate: boolean;
  readonly mustUnderstand: boolean;
  readonly sMaxAgeMs: number | undefined;
  readonly maxAgeMs: number | undefined;
  readonly staleWhileRevalidateMs: number | undefined;
  readonly staleIfErrorMs: number | undefined;
}

/**
 * Reads what a response says of its keeping, from the first targeted field that says anything, else from `Cache-Control`.
 *
 * `private` and `no-cache` that name fields count as if they named none: RFC 9111, section 5.2.2 lets a cache do so, and what is kept
 * back field by field is one mistake away from being shared.
 */
export function rulesOf(fields: FieldReader, targetedFields: readonly string[]): ResponseRules {
  const targeted = targetedDirectives(fields, targetedFields);
  const directives = targeted ?? parseCacheControl(fields.get("cache-control"));
  const from = targeted !== undefined ? "targeted" : directives.size > 0 ? "cache-control" : "none";
  const rules = { from, ...read(directives) } as const;
  if (targeted === undefined || rules.sMaxAgeMs !== undefined || rules.maxAgeMs !== undefined) return rules;
  // It says nothing of how long, so that a time of the route's would take its place: then what forbids to keep it still holds.
  const general = read(parseCacheControl(fields.get("cache-control")));
  return {
    ...rules,
    isNoStore: rules.isNoStore || general.isNoStore,
    isPrivate: rules.isPrivate || general.isPrivate,
  };
}

function read(directives: Directives): Omit<ResponseRules, "from"> {
  return {
    isNoStore: directives.has("no-store"),
    isPrivate: directives.has("private"),
    isPublic: directives.has("public"),
    isNoCache: directives.has("no-cache"),
    allowsAuthorized: ["public", "must-revalidate", "s-maxage"].some((name) => directives.has(name)),
    mustRevalidate: directives.has("must-revalidate") || directives.has("proxy-revalidate"),
    mustUnderstand: directives.has("must-understand"),
    sMaxAgeMs: durationOf(directives, "s-maxage"),
    maxAgeMs: durationOf(directives, "max-age"),
    staleWhileRevalidateMs: durationOf(directives, "stale-while-revalidate"),
    staleIfErrorMs: durationOf(directives, "stale-if-error"),
  };
}
