import { addHistogram, emptyHistogram, type LatencyHistogram } from "../latency-histogram.ts";

/** What came of the requests of one variant. Changed in place where they are counted, and nowhere else. */
export interface VariantCounts {
  requests: number;
  /** Without an answer, or with one of 5xx. */
  errors: number;
  /** How long the others took until their heads: a variant that fails fast must not look fast. */
  readonly times: LatencyHistogram;
}

/** Nothing seen. */
export function noCounts(): VariantCounts {
  return { requests: 0, errors: 0, times: emptyHistogram() };
}

/** Nothing seen of any of so many variants. */
export function noneOf(variants: number): VariantCounts[] {
  return Array.from({ length: variants }, noCounts);
}

/** Adds what others have seen, in place. */
export function addCounts(counts: VariantCounts, other: VariantCounts): void {
  counts.requests += other.requests;
  counts.errors += other.errors;
  addHistogram(counts.times, other.times);
}

/** The sum of two, which stay as they are. */
export function sumCounts(one: VariantCounts, other: VariantCounts): VariantCounts {
  const sum = noCounts();
  addCounts(sum, one);
  addCounts(sum, other);
  return sum;
}
