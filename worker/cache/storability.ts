import { varyOf } from "../../objects/dedup/variant.ts";
import type { CachePolicy } from "../../schemas/cache-policy.ts";
import { looksDeceptive } from "./deception.ts";
import { readerOf, type Fields } from "./fields.ts";
import { freshnessOf, isSaidByOrigin, type Freshness } from "./freshness.ts";
import { isCookie } from "./stored-response.ts";
import { rulesOf, type ResponseRules } from "./response-rules.ts";
import { MAX_TAGS, tagsOf } from "./tags.ts";

/** A response that has just come, and what was asked. */
export interface Received {
  readonly method: string;
  /** Canonical. */
  readonly path: string;
  readonly hasAuthorization: boolean;
  readonly hasRange: boolean;
  readonly status: number;
  readonly fields: Fields;
  /** When its head arrived, in ms since the epoch. */
  readonly receivedAt: number;
}

/** Why a response isn't kept; the first that applies. */
export type Unstorable =
  | "method"
  | "range"
  | "status"
  | "no-store"
  | "private"
  | "set-cookie"
  | "vary"
  | "authorization"
  | "tags"
  | "deception"
  | "no-freshness"
  | "no-use";

/** Whether a response may be kept, and how long it may be used. */
export type Storability =
  | {
      readonly kind: "store";
      readonly freshness: Freshness;
      readonly rules: ResponseRules;
      readonly tags: readonly string[];
    }
  | { readonly kind: "pass"; readonly why: Unstorable };

/** Statuses that we understand well enough for `must-understand` (RFC 9111, section 5.2.2.3). */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 406, 409, 410, 411, 412, 413, 414, 415, 416,
  417, 421, 422, 424, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 506, 507, 508, 511,
]);

/**
 * Whether a shared cache may keep a response (RFC 9111, section 3). Stricter than it has to be: nothing that sets a cookie, nothing
 * without a lifetime that its origin or its route names (or a `Last-Modified` for a status that may live by it), nothing that could be
 * used for no one. Only whole responses are kept; whether the body came whole is for whoever reads it.
 */
export function storabilityOf(received: Received, policy: CachePolicy): Storability {
  const fields = readerOf(received.fields);
  const rules = rulesOf(fields, policy.targetedFields);
  const why = forbids(received, rules, policy);
  if (why !== undefined) return { kind: "pass", why };
  if (varyOf(fields.get("vary")) === "*") return { kind: "pass", why: "vary" };
  const tags = tagsOf(fields);
  // One that could not be purged is not kept.
  if (tags.length > MAX_TAGS) return { kind: "pass", why: "tags" };
  const { status, path, receivedAt } = received;
  const freshness = freshnessOf({ status, fields, rules, receivedAt }, policy);
  if (freshness.from === "none") return { kind: "pass", why: "no-freshness" };
  if (!isSaidByOrigin(freshness) && looksDeceptive(path, fields.get("content-type")))
    return { kind: "pass", why: "deception" };
  // What allows to share it was said with the origin's own times.
  if (received.hasAuthorization && policy.authorization !== "key" && !isSaidByOrigin(freshness)) {
    return { kind: "pass", why: "authorization" };
  }
  const hasValidator = fields.get("etag") !== null || fields.get("last-modified") !== null;
  return isOfUse(freshness, hasValidator) ? { kind: "store", freshness, rules, tags } : { kind: "pass", why: "no-use" };
}

function forbids(received: Received, rules: ResponseRules, policy: CachePolicy): Unstorable | undefined {
  const { method, status } = received;
  if (method !== "GET") return "method";
  if (received.hasRange) return "range";
  // 206 and 304 are parts and confirmations; neither is a response to keep.
  if (status < 200 || status === 206 || status === 304 || status > 599) return "status";
  if (rules.mustUnderstand && !UNDERSTOOD.has(status)) return "status";
  // RFC 9111, section 5.2.2.3: where the status is understood, no-store beside must-understand is for those who don't know it.
  if (rules.isNoStore && !rules.mustUnderstand) return "no-store";
  if (rules.isPrivate) return "private";
  if (!policy.stripSetCookie && received.fields.some(([name]) => isCookie(name))) return "set-cookie";
  if (received.hasAuthorization && policy.authorization !== "key" && !rules.allowsAuthorized) return "authorization";
  return undefined;
}

function isOfUse(
  { lifetimeMs, isNoCache, staleWhileRevalidateMs, staleIfErrorMs }: Freshness,
  hasValidator: boolean,
): boolean {
  return hasValidator || (!isNoCache && lifetimeMs > 0) || staleWhileRevalidateMs > 0 || staleIfErrorMs > 0;
}
