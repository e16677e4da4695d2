/** Four buckets a doubling: a quantile is at most 19 % above the truth. */
const BUCKETS_PER_DOUBLING = 4;
/** Up to 2^17 ms, two minutes, longer than any try; the first bucket holds what took less than 1 ms. */
export const BUCKETS = 17 * BUCKETS_PER_DOUBLING + 1;

/** How long calls took, in buckets whose edges are the same everywhere, so that two of them can be added. */
export interface LatencyHistogram {
  readonly counts: Uint32Array;
  total: number;
}

/** Nothing seen; 300 bytes. */
export function emptyHistogram(): LatencyHistogram {
  return { counts: new Uint32Array(BUCKETS), total: 0 };
}

/** Counts one time in ms. */
export function addTime(histogram: LatencyHistogram, ms: number): void {
  const bucket = ms < 1 ? 0 : Math.min(BUCKETS - 1, 1 + Math.floor(Math.log2(ms) * BUCKETS_PER_DOUBLING));
  histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + 1;
  histogram.total += 1;
}

/** Adds what another one has seen. */
export function addHistogram(histogram: LatencyHistogram, other: LatencyHistogram): void {
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + (other.counts[bucket] ?? 0);
  }
  histogram.total += other.total;
}

/** Forgets all. */
export function clearHistogram(histogram: LatencyHistogram): void {
  histogram.counts.fill(0);
  histogram.total = 0;
}

/**
 * The time in ms that this share of the calls took at most: the upper edge of its bucket, so never less than the truth but for
 * times beyond two minutes.
 *
 * @param share in (0, 1].
 * @returns undefined when nothing was seen.
 */
export function quantile(histogram: LatencyHistogram, share: number): number | undefined {
  const bucket = quantileBucket(histogram, share);
  return bucket === undefined ? undefined : 2 ** (bucket / BUCKETS_PER_DOUBLING);
}

/** The bucket of `quantile`. */
export function quantileBucket({ counts, total }: LatencyHistogram, share: number): number | undefined {
  if (total === 0) return undefined;
  let left = Math.ceil(share * total);
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    left -= counts[bucket] ?? 0;
    if (left <= 0) return bucket;
  }
  return BUCKETS - 1;
}

/** How many calls took longer than those of this bucket. */
export function countAbove({ counts }: LatencyHistogram, bucket: number): number {
  let above = 0;
  for (let index = bucket + 1; index < BUCKETS; index++) above += counts[index] ?? 0;
  return above;
}

/** How many buckets further a time is that is `ratio` (>= 1) times as long, rounded up. */
export function bucketsOf(ratio: number): number {
  return Math.ceil(Math.log2(ratio) * BUCKETS_PER_DOUBLING);
}
