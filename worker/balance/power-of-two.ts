import { weightedRandom } from "./weighted-random.ts";
import type { LoadedTarget } from "./least-in-flight.ts";

/** A target as it is seen by the choice. */
export interface TimedTarget extends LoadedTarget {
  /** What a request takes, an average in ms; undefined: not known yet. */
  readonly latencyMs: number | undefined;
}

/** Of a target that has not answered yet but was asked: slower than any that has. */
const UNKNOWN_MS = 1e9;

/**
 * Draws two targets by weight and takes the one that is likely to answer first: the lower latency times requests in flight.
 * Two are enough to avoid the worst, and few enough that a target that was fast a moment ago isn't chosen by everyone at once
 * (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001). One whose latency is not known yet gets one
 * request, so that it becomes known, and no second before that is answered.
 *
 * @param first,second numbers in [0, 1).
 * @returns undefined when no weight is above 0.
 */
export function powerOfTwo(targets: readonly TimedTarget[], first: number, second: number): number | undefined {
  const one = weightedRandom(targets, first);
  if (one === undefined) return undefined;
  const other = weightedRandom(targets, second, one);
  if (other === undefined) return one;
  return costOf(targets[other]) < costOf(targets[one]) ? other : one;
}

function costOf(target: TimedTarget | undefined): number {
  if (target === undefined) return Infinity;
  const { latencyMs, inFlight, weight } = target;
  if (latencyMs === undefined) return inFlight === 0 ? 0 : (UNKNOWN_MS * (inFlight + 1)) / weight;
  return (latencyMs * (inFlight + 1)) / weight;
}
