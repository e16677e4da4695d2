import type { FlightRules } from "./flight-rules.ts";
import type { Vary } from "./variant.ts";

/** What the head of a response says, as whoever fetched it under the route's policy read it. Durations in ms. */
export interface HeadFacts {
  readonly status: number;
  readonly vary: Vary;
  readonly hasSetCookie: boolean;
  readonly isPrivate: boolean;
  readonly isNoStore: boolean;
  readonly isNoCache: boolean;
  /** Whether a shared cache may keep it, for the route's requests. */
  readonly isStorable: boolean;
  /** What is left of its lifetime; negative: stale on arrival. */
  readonly ttlMs: number;
  readonly staleWhileRevalidateMs: number;
}

/** Whom a response is for. */
export type Sharing =
  /** For all that ask for its variant, for so long. */
  | { readonly kind: "all"; readonly forMs: number; readonly vary: readonly string[] }
  /** For those who have been waiting. */
  | { readonly kind: "waiting"; readonly vary: readonly string[] }
  /** For whoever it was made for alone. */
  | { readonly kind: "alone" }
  /** For whoever it was made for; what the others are to have is another question. */
  | { readonly kind: "error" };

/**
 * Whom a response is for. Decided once, when its head is there and before anybody else sees a byte: caches that guarded what they stored
 * and not what they shared gave one client's session to all who waited (unjs/ocache #61).
 */
export function sharingOf(head: HeadFacts, rules: Pick<FlightRules, "coalesce">): Sharing {
  const { status, vary } = head;
  if (status >= 500) return { kind: "error" };
  const isRefusal = status === 401 || status === 407;
  if (!isForOthers(head) || isRefusal || head.isNoCache || vary === "*") return { kind: "alone" };
  const forMs = head.ttlMs > 0 ? head.ttlMs : head.ttlMs + head.staleWhileRevalidateMs;
  if (head.isStorable && forMs > 0) return { kind: "all", forMs, vary };
  return rules.coalesce === "arrived-before-headers" ? { kind: "waiting", vary } : { kind: "alone" };
}

/**
 * Whether a response may be kept, also one that is its owner's alone now: what has to be validated before each use, or an error that says
 * how long it is one. Whatever the head's reader says, nothing personal is.
 */
export function isKeepable(head: HeadFacts): boolean {
  return head.isStorable && isForOthers(head) && head.vary !== "*";
}

function isForOthers({ status, hasSetCookie, isPrivate, isNoStore }: HeadFacts): boolean {
  const isPart = status < 200 || status === 206 || status === 304;
  return !isPart && !hasSetCookie && !isPrivate && !isNoStore;
}
