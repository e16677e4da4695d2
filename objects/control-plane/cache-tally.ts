import { isCount } from "../numbers.ts";

/** What the cache makes of requests, as `X-Cache` says it. */
export const CACHE_OUTCOMES = ["HIT", "STALE", "REVALIDATED", "MISS", "BYPASS"] as const;
/** Where it looks, in order. */
export const CACHE_TIERS = ["colo", "kv", "r2"] as const;
/** What comes of looking: it is there, it is not, the tier failed or took too long. */
export const TIER_OUTCOMES = ["hits", "misses", "failures"] as const;
/** The times in which tiers find something are counted up to each of these, and what takes longer, in ms. */
export const FOUND_WITHIN_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500] as const;

/**
 * What coalescing makes of requests: one that others may have waited for, one that waited for another's, one whose response is nobody
 * else's, one that failed with another's, one whose owner was silent.
 */
export const FLIGHT_OUTCOMES = ["led", "joined", "alone", "failed", "ownerless"] as const;

/** How often each of these happened: outcomes; then of each tier what came of looking, and the times; then what coalescing made of it. */
export type CacheTally = readonly number[];

const A_TIER = TIER_OUTCOMES.length + FOUND_WITHIN_MS.length + 1;
const FLIGHTS = CACHE_OUTCOMES.length + CACHE_TIERS.length * A_TIER;
const LENGTH = FLIGHTS + FLIGHT_OUTCOMES.length;

/** Nothing has happened. */
export function noTally(): number[] {
  return Array.from({ length: LENGTH }, () => 0);
}

/** Where an outcome is counted. */
export function placeOfOutcome(outcome: (typeof CACHE_OUTCOMES)[number]): number {
  return CACHE_OUTCOMES.indexOf(outcome);
}

/** Where it is counted what came of looking into a tier. */
export function placeOfTier(tier: (typeof CACHE_TIERS)[number], what: (typeof TIER_OUTCOMES)[number]): number {
  return CACHE_OUTCOMES.length + CACHE_TIERS.indexOf(tier) * A_TIER + TIER_OUTCOMES.indexOf(what);
}

/** Where a tier's times are counted: so many more than this, by how long it took. */
export function placeOfTimes(tier: (typeof CACHE_TIERS)[number]): number {
  return placeOfTier(tier, "hits") + TIER_OUTCOMES.length;
}

/** Where it is counted what coalescing made of a request. */
export function placeOfFlight(outcome: (typeof FLIGHT_OUTCOMES)[number]): number {
  return FLIGHTS + FLIGHT_OUTCOMES.indexOf(outcome);
}

/** Which of the times this is. */
export function timeBucket(ms: number): number {
  const bucket = FOUND_WITHIN_MS.findIndex((most) => ms <= most);
  return bucket === -1 ? FOUND_WITHIN_MS.length : bucket;
}

/** Both together; the first alone where the other, from a Worker of another version, counts something else. */
export function addTally(tally: CacheTally, more: unknown): CacheTally {
  if (!Array.isArray(more) || more.length !== LENGTH || !more.every(isCount)) return tally;
  // What was stored before something more was counted is shorter.
  return more.map((count, place) => count + (tally[place] ?? 0));
}
