/** Something with a weight: finite, >= 0; of 0 it is never chosen. */
export interface Weighted {
  readonly weight: number;
}

/**
 * Chooses an index with a probability in proportion to its weight. No state, so many isolates together keep to the weights
 * as well as one.
 *
 * @param random in [0, 1).
 * @param except an index that is not chosen. Default none.
 * @returns undefined when no weight is above 0.
 */
export function weightedRandom(targets: readonly Weighted[], random: number, except = -1): number | undefined {
  let total = 0;
  for (let index = 0; index < targets.length; index++) if (index !== except) total += targets[index]?.weight ?? 0;
  let rest = random * total;
  let last: number | undefined;
  for (let index = 0; index < targets.length; index++) {
    const weight = index === except ? 0 : (targets[index]?.weight ?? 0);
    if (weight <= 0) continue;
    if (rest < weight) return index;
    rest -= weight;
    last = index;
  }
  // Only when rounding leaves something of `rest`.
  return last;
}
