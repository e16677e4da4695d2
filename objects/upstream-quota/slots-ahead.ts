import type { QuotaPolicy } from "./quota-policy.ts";
import type { QuotaRules } from "./quota-rules.ts";
import type { Waiter } from "./waiting-room.ts";

/** What is lent to an isolate beside the slot that it asks for. */
export interface Ahead {
  /** For so many requests; 0: nothing. */
  readonly count: number;
  /** The slot is so long. */
  readonly forMs: number;
}

/** A slot is counted to its end, however early it is used, so it takes no more than such a part of the window. */
const LONGEST_PART = 4;
/** One isolate gets such a part of what is left, so that the others find some too. */
const PART_OF_LEFT = 2;

/** Whether anything is lent of a quota, ever. */
export function isLent({ requests, windowMs }: QuotaPolicy, { aheadFromMs }: QuotaRules): boolean {
  return windowMs <= requests * aheadFromMs;
}

/**
 * How much to lend of a quota of which so much is left. Without a spacing it is one slot for many requests, for as long as nobody would
 * miss it; with a spacing each is one request's, and half of everything stays free, since others have to wait behind it.
 */
export function aheadOf(
  left: { readonly requests: number; readonly burst: number },
  policy: QuotaPolicy,
  { spare, toleranceMs }: Pick<Waiter, "spare" | "toleranceMs">,
  rules: QuotaRules,
): Ahead {
  const { requests, windowMs, burst, spacingMs } = policy;
  const { aheadMs } = rules;
  if (!isLent(policy, rules)) return { count: 0, forMs: 0 };
  if (spacingMs > 0) {
    const isFree = 2 * left.requests > requests && 2 * left.burst > burst;
    return { count: isFree ? 1 : 0, forMs: toleranceMs };
  }
  // Near the limit long slots would fill the window with what was used long ago.
  const freeMs = (left.requests / requests) * windowMs;
  const longestMs = Math.floor(Math.min(aheadMs, windowMs / LONGEST_PART, freeMs));
  const forMs = Math.max(toleranceMs, longestMs);
  const count = Math.min(
    Math.ceil((spare * forMs) / aheadMs),
    Math.floor(left.requests / PART_OF_LEFT),
    Math.floor(left.burst / PART_OF_LEFT),
  );
  return { count, forMs };
}
