import { BUCKETS, emptyHistogram } from "../latency-histogram.ts";
import { isCount } from "../numbers.ts";
import type { VariantCounts } from "./variant-counts.ts";

/**
 * The counts of a variant as a list: requests, errors, and then a bucket and its count for each bucket that isn't empty. A second's worth
 * has some ten of 69.
 */
export type PackedCounts = readonly number[];

/** Packs counts for a message or for storage. */
export function packCounts({ requests, errors, times }: VariantCounts): PackedCounts {
  const packed = [requests, errors];
  for (let bucket = 0, left = times.total; left > 0; bucket++) {
    const count = times.counts[bucket] ?? 0;
    if (count > 0) packed.push(bucket, count);
    left -= count;
  }
  return packed;
}

/** What `packCounts` packed; undefined when it can't have: then nothing of it counts. */
export function unpackCounts(packed: unknown): VariantCounts | undefined {
  if (!Array.isArray(packed) || packed.length > 2 + 2 * BUCKETS || packed.length % 2 === 1) return undefined;
  const [requests, errors, ...pairs]: readonly unknown[] = packed;
  if (!isCount(requests) || !isCount(errors)) return undefined;
  const times = emptyHistogram();
  for (let index = 0; index < pairs.length; index += 2) {
    const [bucket, count] = [pairs[index], pairs[index + 1]];
    if (!isCount(bucket) || bucket >= BUCKETS || !isCount(count) || count > 0xffff_ffff) return undefined;
    times.counts[bucket] = (times.counts[bucket] ?? 0) + count;
    times.total += count;
  }
  return errors + times.total <= requests ? { requests, errors, times } : undefined;
}
