/**
 * Chooses an index with a probability in proportion to its weight. No state, so many isolates together keep to the weights
 * as well as one.
 *
 * @param weights finite, >= 0; those of 0 are never chosen.
 * @param random in [0, 1).
 * @returns undefined when no weight is above 0.
 */
export function weightedRandom(weights: readonly number[], random: number): number | undefined {
  let total = 0;
  for (const weight of weights) total += weight;
  let rest = random * total;
  let last: number | undefined;
  for (const [index, weight] of weights.entries()) {
    if (weight <= 0) continue;
    if (rest < weight) return index;
    rest -= weight;
    last = index;
  }
  // Only when rounding leaves something of `rest`.
  return last;
}
