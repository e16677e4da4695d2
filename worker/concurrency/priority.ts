import type { ConcurrencyPolicy, Priority } from "../../schemas/index.ts";

/** The part of a limit that each class may use; what `critical` has above the others is kept for it, a fifth as at Stripe. */
type PriorityShares = ConcurrencyPolicy["shares"];

/** How many requests may be in flight, of all classes, for one of this class to begin: at least one. */
export function roomOf(priority: Priority, limit: number, shares: PriorityShares): number {
  return Math.max(1, Math.floor(limit * shares[priority]));
}

/**
 * The same while others are held to `held` requests, to measure: critical ones still have what is kept for them, which is too little to
 * make the backend busy.
 */
export function roomWhileHeld(priority: Priority, held: number, limit: number, shares: PriorityShares): number {
  const kept = shares[priority] - shares.normal;
  return held + (kept > 0 ? Math.floor(limit * kept) : 0);
}
