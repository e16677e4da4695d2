import type { Weighted } from "./weighted-random.ts";

/** A target that has its turns. */
export interface TurnTarget extends Weighted {
  /** What it has saved up towards its next turn; 0 at first. */
  credit: number;
}

/** More turns are not skipped at the beginning: enough to be anywhere in the row, whatever the weights. */
const MOST_SKIPPED = 1_000;

/**
 * The smooth weighted round robin of nginx (Igor Sysoev, 2012): everyone gains his weight, whoever has most is chosen and
 * pays the sum. Weights 5, 1, 1 give a a b a c a a and not a a a a a b c. Over any row of turns a target is at most one
 * turn per other target away from its share. Who has no weight keeps no credit. Changes the credits.
 *
 * @returns undefined when no weight is above 0.
 */
export function smoothRoundRobin(targets: readonly TurnTarget[]): number | undefined {
  let total = 0;
  let chosen: TurnTarget | undefined;
  let index: number | undefined;
  for (let at = 0; at < targets.length; at++) {
    const target = targets[at];
    if (target === undefined) break;
    if (target.weight <= 0) {
      target.credit = 0;
      continue;
    }
    total += target.weight;
    target.credit += target.weight;
    if (chosen !== undefined && target.credit <= chosen.credit) continue;
    chosen = target;
    index = at;
  }
  if (chosen !== undefined) chosen.credit -= total;
  return index;
}

/**
 * Skips the beginning of the row.
 *
 * @param first in [0, 1), another one in each isolate: many that begin with the same target would all send there.
 */
export function skipTurns(targets: readonly TurnTarget[], first: number): void {
  let total = 0;
  for (const { weight } of targets) total += weight;
  for (let left = Math.floor(first * Math.min(total, MOST_SKIPPED)); left > 0; left--) smoothRoundRobin(targets);
}
