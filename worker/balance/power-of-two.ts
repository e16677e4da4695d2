import { weightedRandom } from "./weighted-random.ts";

/** A target as it is seen by the choice. */
export interface TimedTarget {
  readonly weight: number;
  readonly inFlight: number;
  /** What a request takes, an average in ms; undefined: not known yet, which is taken for fast, so that it becomes known. */
  readonly latencyMs: number | undefined;
}

/**
 * Draws two targets by weight and takes the one that is likely to answer first: the lower latency times requests in flight.
 * Two are enough to avoid the worst, and few enough that a target that was fast a moment ago isn't chosen by everyone at once
 * (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001).
 *
 * @param randoms two numbers in [0, 1).
 * @returns undefined without targets.
 */
export function powerOfTwo(
  targets: readonly TimedTarget[],
  [first, second]: readonly [number, number],
): number | undefined {
  const one = draw(targets, first, undefined);
  if (one === undefined) return undefined;
  const other = draw(targets, second, one);
  if (other === undefined) return one;
  return costOf(targets[other]) < costOf(targets[one]) ? other : one;
}

function draw(targets: readonly TimedTarget[], random: number, except: number | undefined): number | undefined {
  return weightedRandom(
    targets.map(({ weight }, index) => (index === except ? 0 : weight)),
    random,
  );
}

function costOf(target: TimedTarget | undefined): number {
  return target === undefined ? Infinity : ((target.latencyMs ?? 0) * (target.inFlight + 1)) / target.weight;
}
