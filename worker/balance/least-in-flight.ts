/** A target as it is seen by the choice. */
export interface LoadedTarget {
  /** Above 0: how much more than one of weight 1 it can take. */
  readonly weight: number;
  readonly inFlight: number;
}

/**
 * Chooses the target with the fewest requests in flight for its weight, the one to come included; by lot where several have.
 * Without the lot every isolate that has nothing in flight would send to the first.
 *
 * @param random in [0, 1).
 * @returns undefined without targets.
 */
export function leastInFlight(targets: readonly LoadedTarget[], random: number): number | undefined {
  const loads = targets.map(({ weight, inFlight }) => (inFlight + 1) / weight);
  const least = Math.min(...loads);
  const best = loads.flatMap((load, index) => (load === least ? [index] : []));
  return best[Math.floor(random * best.length)];
}
