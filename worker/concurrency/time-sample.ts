/** Times of some calls, exactly: the buckets of a histogram are wider than what a limit reacts to. Changed in place. */
export interface TimeSample {
  readonly times: Float64Array;
  /** How many were added; of more than there is room for, the last ones are known. */
  count: number;
}

const ROOM = 256;

/** Nothing seen; 2 KiB. */
export function newSample(): TimeSample {
  return { times: new Float64Array(ROOM), count: 0 };
}

/** Adds a time in ms. */
export function addSample(sample: TimeSample, ms: number): void {
  sample.times[sample.count % ROOM] = ms;
  sample.count += 1;
}

/**
 * The time in ms that this share of the calls took at most.
 *
 * @param share in (0, 1].
 * @returns undefined when nothing was seen.
 */
export function sampleQuantile({ times, count }: TimeSample, share: number): number | undefined {
  const known = Math.min(count, ROOM);
  return times.slice(0, known).sort()[Math.ceil(share * known) - 1];
}

/** Forgets all. */
export function clearSample(sample: TimeSample): void {
  sample.count = 0;
}
