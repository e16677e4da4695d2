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
  const seed = hash(key, 0x811c_9dc5);
  for (let index = 0; index < targets.length; index++) {
    const target = targets[index];
    if (target === undefined || target.weight <= 0) continue;
    const score = -target.weight / Math.log(fraction(seed, target.name));
    if (best !== undefined && score <= highest) continue;
    highest = score;
    best = index;
  }
  return best;
}

/** In (0, 1), evenly spread over keys and names; 32 bits are plenty to tell a few hundred targets apart. */
function fraction(seed: number, name: string): number {
  return (mix(hash(name, seed)) + 0.5) / 2 ** 32;
}

/** FNV-1a over UTF-16 units and the length, so that "a" + "bc" and "ab" + "c" differ. No secret: whoever chooses keys may aim. */
function hash(text: string, seed: number): number {
  let state = Math.imul(seed ^ text.length, 0x0100_0193);
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    state = Math.imul(state ^ (unit & 0xff), 0x0100_0193);
    state = Math.imul(state ^ (unit >>> 8), 0x0100_0193);
  }
  return state;
}

/** The finaliser of MurmurHash3: without it, names that differ in their last character would draw neighbouring numbers. */
function mix(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
