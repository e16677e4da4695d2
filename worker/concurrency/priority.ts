/** How much a request matters when not all can be served. */
export type Priority = "critical" | "normal" | "low";

/** The part of a limit that each class may use, in (0, 1]; what `critical` has above the others is kept for it. */
export type PriorityShares = Readonly<Record<Priority, number>>;

/** What holds where nothing else is said: a fifth is for critical requests alone, as at Stripe. */
export const DEFAULT_SHARES: PriorityShares = { critical: 1, normal: 0.8, low: 0.5 };

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
