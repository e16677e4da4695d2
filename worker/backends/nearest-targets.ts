import type { BalancePolicy, Place, Target } from "../../schemas/index.ts";
import type { Candidate } from "../balance/candidate.ts";
import { compileGeography, type Whereabouts } from "../geo/geography.ts";

/** How near a target is: the kind of the place that it is for, those for any place, those for others. */
const RANKS = { colo: 0, region: 1, country: 2, continent: 3 } as const satisfies Record<Place["kind"], number>;
const ANYWHERE = 4;
const ELSEWHERE = 5;

/** Among the nearest all that are well are good: health checks that call the others down are believed while farther ones are well. */
const SPILLS = { maxEjection: 1, panicThreshold: 0 } as const;

/**
 * Compiles which targets come first for requests from somewhere: those of the most specific place that has one which may be had. Takes
 * the others out of a choice by their shares; where there is none at all everything stays as it is.
 *
 * @returns narrows candidates that were filled for a choice, and says by which policy to choose then. Undefined: no target says where it is.
 */
export function nearestTargets(
  targets: readonly Target[],
  policy: BalancePolicy,
):
  | ((candidates: readonly Candidate[], whereabouts: Whereabouts, tried: readonly number[]) => BalancePolicy)
  | undefined {
  if (targets.every(({ regions }) => regions === undefined)) return undefined;
  const spilling = { ...policy, ...SPILLS };
  const ranks = targets.map(({ regions }) =>
    compileGeography<number>(
      (regions ?? []).map((place) => ({ place, value: RANKS[place.kind] })),
      regions === undefined ? ANYWHERE : ELSEWHERE,
    ),
  );

  return function narrow(candidates, whereabouts, tried) {
    const found = ranks.map((rank) => rank.find(whereabouts) ?? ELSEWHERE);
    let nearest = Infinity;
    for (const [index, candidate] of candidates.entries()) {
      const { isOpen, downSince, isDraining, share } = candidate;
      const isOut = isOpen || downSince !== undefined || isDraining || share === 0 || tried.includes(index);
      if (!isOut) nearest = Math.min(nearest, found[index] ?? ELSEWHERE);
    }
    if (nearest === Infinity) return policy;
    for (const [index, candidate] of candidates.entries()) if (found[index] !== nearest) candidate.share = 0;
    return spilling;
  };
}
