import type { Candidate } from "./candidate.ts";

/** What is looked at, and what is found. */
export type Eligibility = Pick<Candidate, "isOpen" | "downSince" | "isDraining" | "share" | "isEligible">;

/** Shares of the targets, in [0, 1]. */
export interface EligibilityPolicy {
  /** The most that may be taken away; above 0 at least one target where there are several. Default 0.5. */
  readonly maxEjection: number;
  /** Below this share of healthy targets health checks are ignored. Default 0.5. */
  readonly panicThreshold: number;
}

/**
 * Marks the targets that a request may go to.
 *
 * An open breaker is never passed by: it knows of requests that failed. A health check only suspects, and may itself be what
 * is broken; so it takes away at most `maxEjection` of the targets, those first that are down for longest, open ones
 * counted; and when fewer than `panicThreshold` are well, it is not believed at all, since sending everything to the few that
 * are left would bring them down too. A draining target is for clients that have been there, unless there is no other; one
 * without a share is for them alone.
 *
 * @param bound the index of the target that this client is bound to, which it keeps while that drains; -1: none.
 * @returns whether health checks are ignored.
 */
export function markEligible(
  candidates: readonly Eligibility[],
  { maxEjection, panicThreshold }: EligibilityPolicy,
  bound: number,
): boolean {
  const areAllDraining = markPool(candidates, bound, false) === 0;
  if (areAllDraining) markPool(candidates, bound, true);
  let pool = 0;
  let open = 0;
  let down = 0;
  for (const candidate of candidates) {
    if (!candidate.isEligible) continue;
    pool += 1;
    if (candidate.isOpen) {
      open += 1;
      candidate.isEligible = false;
    } else if (candidate.downSince !== undefined) down += 1;
  }
  if (down === 0) return false;
  if (pool - open - down < panicThreshold * pool) return true;
  const most = Math.max(pool > 1 && maxEjection > 0 ? 1 : 0, Math.floor(maxEjection * pool));
  ejectLongestDown(candidates, most - open);
  return false;
}

/** Marks whom the configuration and operators leave; how many. */
function markPool(candidates: readonly Eligibility[], bound: number, takesDraining: boolean): number {
  let count = 0;
  for (let index = 0; index < candidates.length; index++) {
    const candidate = candidates[index];
    if (candidate === undefined) break;
    candidate.isEligible = index === bound || (candidate.share > 0 && (takesDraining || !candidate.isDraining));
    if (candidate.isEligible) count += 1;
  }
  return count;
}

function ejectLongestDown(candidates: readonly Eligibility[], most: number): void {
  if (most <= 0) return;
  const down = candidates.filter(({ isEligible, downSince }) => isEligible && downSince !== undefined);
  // Seldom more than may go; in a thousand targets to look for the next one again and again took 3 ms a request.
  if (down.length > most) down.sort((one, other) => (one.downSince ?? 0) - (other.downSince ?? 0));
  for (let index = 0; index < Math.min(down.length, most); index++) {
    const candidate = down[index];
    if (candidate !== undefined) candidate.isEligible = false;
  }
}
