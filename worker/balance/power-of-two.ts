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

/** An average that forgets: half of what it says is of the last `halfLifeMs`. */
export interface Latency {
  readonly ms: number;
  readonly at: number;
}

/** Half of a latency's weight is gone after this. */
const HALF_LIFE_MS = 10_000;

/**
 * Takes one request's time into the average. A time above the average replaces it at once, lower ones bring it down slowly, as in
 * Finagle's peak EWMA: a target that begins to stall is avoided from its first slow answer on.
 */
export function noteLatency(known: Latency | undefined, ms: number, now: number): Latency {
  if (known === undefined || ms >= known.ms) return { ms, at: now };
  const kept = 2 ** (-Math.max(0, now - known.at) / HALF_LIFE_MS);
  return { ms: known.ms * kept + ms * (1 - kept), at: now };
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
