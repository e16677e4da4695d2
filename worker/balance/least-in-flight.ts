import type { Weighted } from "./weighted-random.ts";

/** A target as it is seen by the choice. */
export interface LoadedTarget extends Weighted {
  readonly inFlight: number;
}

/**
 * Chooses the target with the fewest requests in flight for its weight, the one to come included; by lot where several have.
 * Without the lot every isolate that has nothing in flight would send to the first.
 *
 * @param random in [0, 1).
 * @returns undefined when no weight is above 0.
 */
export function leastInFlight(targets: readonly LoadedTarget[], random: number): number | undefined {
  let least = Infinity;
  let equals = 0;
  for (const target of targets) {
    const load = loadOf(target);
    if (load > least || load === Infinity) continue;
    equals = load < least ? 1 : equals + 1;
    least = load;
  }
  let lot = Math.floor(random * equals);
  for (let index = 0; index < targets.length; index++) {
    const target = targets[index];
    if (target === undefined || equals === 0 || loadOf(target) !== least) continue;
    if (lot === 0) return index;
    lot -= 1;
  }
  return undefined;
}

function loadOf({ weight, inFlight }: LoadedTarget): number {
  return weight > 0 ? (inFlight + 1) / weight : Infinity;
}
