import { FIRST_SEED, fractionOf, stableHash } from "../stable-hash.ts";
import type { Weighted } from "./weighted-random.ts";

/** A target that keys are spread over. */
export interface HashedTarget extends Weighted {
  /** Names it for ever: its URL. Keys stay with names, whatever the order of the list. */
  readonly name: string;
}

/**
 * Chooses the target of a key, always the same one: each target draws a number from the key and its own name, the highest
 * wins (Thaler and Ravishankar, 1998). When a target goes, only its keys move, to the others by weight; when one comes, it
 * takes its share from all and nothing else moves. The weights are those of Schindelhauer and Schomaker, 2005.
 *
 * @returns the index; undefined when no weight is above 0.
 */
export function rendezvous(targets: readonly HashedTarget[], key: string): number | undefined {
  let best: number | undefined;
  let highest = -Infinity;
  const seed = stableHash(key, FIRST_SEED);
  for (let index = 0; index < targets.length; index++) {
    const target = targets[index];
    if (target === undefined || target.weight <= 0) continue;
    // 32 bits are plenty to tell a few hundred targets apart.
    const score = -target.weight / Math.log(fractionOf(stableHash(target.name, seed)));
    if (best !== undefined && score <= highest) continue;
    highest = score;
    best = index;
  }
  return best;
}
