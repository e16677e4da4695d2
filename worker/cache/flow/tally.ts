import {
  addTally,
  noTally,
  placeOfFlight,
  placeOfOutcome,
  placeOfTier,
  placeOfTimes,
  timeBucket,
  type CacheTally,
  type FLIGHT_OUTCOMES,
} from "../../../objects/control-plane/cache-tally.ts";
import type { XCache } from "../cache-status.ts";
import type { TierName } from "../tiers/tier.ts";

/** What the cache of this isolate has done since it told so last; undefined: nothing. */
let counts: number[] | undefined;

/** Counts what was made of a request. */
export function countOutcome(outcome: XCache): void {
  add(placeOfOutcome(outcome));
}

/** Counts what coalescing made of a request. */
export function countFlight(outcome: (typeof FLIGHT_OUTCOMES)[number]): void {
  add(placeOfFlight(outcome));
}

/** Counts what came of looking into a tier, and how long that took where something was there. */
export function countTier(tier: TierName, what: "hits" | "misses" | "failures", ms: number): void {
  add(placeOfTier(tier, what));
  if (what === "hits") add(placeOfTimes(tier) + timeBucket(ms));
}

/** Takes all that was counted, to tell it; `giveBack` what could not be told. */
export function takeTally(): CacheTally | undefined {
  const taken = counts;
  counts = undefined;
  return taken;
}

/** Counts again what nobody heard of. */
export function giveBack(tally: CacheTally | undefined): void {
  if (tally !== undefined) counts = [...addTally(tally, counts)];
}

function add(place: number): void {
  counts ??= noTally();
  counts[place] = (counts[place] ?? 0) + 1;
}
