import { isCount } from "../../numbers.ts";
/**
 * A window cut into `perWindow` equal parts that lie still on the clock: part i holds the times t with
 * floor(t * perWindow / windowMs) = i. Times are safe integers and `time * perWindow` stays below 2^53 (60 parts
 * until the year 6,700), so every quotient here is exact.
 */
export interface Grid {
  readonly windowMs: number;
  /** At most `windowMs`: a part shorter than a millisecond would never hold anything. */
  readonly perWindow: number;
}

/** What was counted in one part. */
export interface SubBucket {
  readonly index: number;
  readonly count: number;
}

/** The grid of a window; `perWindow` is cut to one part a millisecond. */
export function gridOf(windowMs: number, perWindow: number): Grid {
  return { windowMs, perWindow: Math.min(perWindow, windowMs) };
}

/** The part that holds `time`. */
export function indexAt(grid: Grid, time: number): number {
  return Math.floor((time * grid.perWindow) / grid.windowMs);
}

/** The first millisecond of a part. */
export function startOf(grid: Grid, index: number): number {
  return Math.ceil((index * grid.windowMs) / grid.perWindow);
}

/** Adds to one part; the list stays in order and holds no part twice. */
export function addTo(buckets: readonly SubBucket[], index: number, count: number): readonly SubBucket[] {
  if (count === 0) return buckets;
  const at = buckets.findLastIndex((bucket) => bucket.index <= index);
  const found = buckets[at];
  if (found?.index !== index) return buckets.toSpliced(at + 1, 0, { index, count });
  return buckets.with(at, { index, count: found.count + count });
}

/** Takes from one part what it holds, at most `count`. */
export function takeFrom(buckets: readonly SubBucket[], index: number, count: number): readonly SubBucket[] {
  const left: SubBucket[] = [];
  for (const bucket of buckets) {
    const rest = bucket.index === index ? bucket.count - count : bucket.count;
    if (rest > 0) left.push({ index: bucket.index, count: rest });
  }
  return left;
}

/** Without the parts before `first`; the very list when there are none. */
export function dropBefore(buckets: readonly SubBucket[], first: number): readonly SubBucket[] {
  const [oldest] = buckets;
  return oldest === undefined || oldest.index >= first ? buckets : buckets.filter(({ index }) => index >= first);
}

/** The sum of all parts. */
export function total(buckets: readonly SubBucket[]): number {
  return buckets.reduce((sum, { count }) => sum + count, 0);
}

/** The parts as a flat list of numbers, each index told as the step from the one before: short in JSON. */
export function packBuckets(buckets: readonly SubBucket[]): number[] {
  let before = 0;
  return buckets.flatMap(({ index, count }) => {
    const step = index - before;
    before = index;
    return [step, count];
  });
}

/** What `packBuckets` packed, or undefined when the list cannot have come from it. */
export function unpackBuckets(packed: unknown): readonly SubBucket[] | undefined {
  if (!Array.isArray(packed) || packed.length % 2 !== 0) return undefined;
  const numbers: readonly unknown[] = packed;
  const buckets: SubBucket[] = [];
  let index = 0;
  for (let at = 0; at < numbers.length; at += 2) {
    const [step, count] = [numbers[at], numbers[at + 1]];
    if (!isCount(step) || !isCount(count) || count === 0 || (at > 0 && step === 0)) return undefined;
    index += step;
    buckets.push({ index, count });
  }
  return buckets;
}
