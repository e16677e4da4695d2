/** How a tier fails: it never answers, it says that it cannot, it gives what it was given first. */
export const TIER_FAULTS = ["hang", "fail", "stale"] as const;
export type TierFault = (typeof TIER_FAULTS)[number];
