import type { CachePolicy } from "../../schemas/cache-policy.ts";
import type { FieldReader } from "./fields.ts";
import type { RequestRules } from "./request-rules.ts";

/** What of a request decides whether the cache is asked. */
export interface LookupRequest {
  readonly method: string;
  /** Canonical, escapes as the client wrote them. */
  readonly path: string;
  readonly fields: FieldReader;
  readonly hasBody: boolean;
  /** What the gateway knows its sender by; undefined: by nothing. */
  readonly knownBy: "authorization" | "other" | undefined;
  /** Whether it says who asks in a field beside `Authorization` and `Cookie`. */
  readonly hasOtherCredentials: boolean;
  /** What it asks of caches, if that counts. */
  readonly rules: RequestRules;
}

/** Why a request goes past the cache; the `detail` of `Cache-Status`. */
export type Bypass = "method" | "body" | "upgrade" | "precondition" | "path" | "authorization" | "cookie" | "no-store";

/**
 * Delimiters that a cache and an origin may read differently: `/account%2fx.css` and `/account;x.css` are an account to one and a file to
 * the other (Omer Gil, "Web Cache Deception", 2017; PortSwigger, "Gotta cache 'em all", 2024).
 */
const AMBIGUOUS = /;|%(?:0[0-9a-f]|1[0-9a-f]|2[35ef]|3[bf]|5c|7f)/i;

/**
 * Whether the cache may answer a request and keep its answer: undefined, else why not.
 *
 * A body makes it go past: it isn't part of the key, and an origin that reads it would answer for everybody ("fat GET"). Credentials and
 * cookies do so unless the route says what they mean; a principal of its own is only kept where it is known who that is.
 */
export function bypassOf(request: LookupRequest, policy: CachePolicy): Bypass | undefined {
  const { method, fields } = request;
  if (method !== "GET" && method !== "HEAD") return "method";
  if (request.hasBody) return "body";
  if (fields.get("upgrade") !== null) return "upgrade";
  // Only the origin knows whether its state is what the client believes.
  if (fields.get("if-match") !== null || fields.get("if-unmodified-since") !== null) return "precondition";
  if (AMBIGUOUS.test(request.path)) return "path";
  if (!isToldApart(request, policy)) return "authorization";
  if (fields.get("cookie") !== null && policy.cookies.kind === "bypass") return "cookie";
  if (request.rules.isNoStore) return "no-store";
  return undefined;
}

/**
 * Whether credentials keep requests apart as they have to. One that is known by its API key may carry the `Authorization` of any of that
 * consumer's users: the key then is not who the answer is for. What else may say who asks is part of no key.
 */
function isToldApart({ fields, knownBy, hasOtherCredentials }: LookupRequest, { authorization }: CachePolicy): boolean {
  if (hasOtherCredentials) return authorization === "public";
  const hasCredentials = fields.get("authorization") !== null;
  if (authorization === "key") return knownBy === "authorization" || (knownBy === "other" && !hasCredentials);
  return !hasCredentials || authorization === "public";
}
