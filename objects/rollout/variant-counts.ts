import { addHistogram, emptyHistogram, type LatencyHistogram } from "../latency-histogram.ts";

/** What came of the requests of one variant. Changed in place where they are counted, and nowhere else. */
export interface VariantCounts {
  requests: number;
  /** Without an answer, or with one of 5xx. */
  errors: number;
  /** How long the others took until their heads: a variant that fails fast must not look fast. */
  readonly times: LatencyHistogram;
}

/**
 * The control's clients are counted in so many cells, by a hash: how much they differ from each other says how much the canary's may
 * differ from them without a reason.
 */
export const CELLS = 16;

/** In how many counts the requests of so many variants are counted: the control's cells, and one for each other variant. */
export function slotsOf(variants: number): number {
  return variants === 0 ? 0 : CELLS + variants - 1;
}

/** Which of them a request is counted in. */
export function slotOf(variant: number, cell: number): number {
  return variant === 0 ? cell : CELLS + variant - 1;
}

/** Nothing seen. */
export function noCounts(): VariantCounts {
  return { requests: 0, errors: 0, times: emptyHistogram() };
}

/** Nothing seen, so many times. */
export function noneOf(count: number): VariantCounts[] {
  return Array.from({ length: count }, noCounts);
}

/** Adds what others have seen, in place. */
export function addCounts(counts: VariantCounts, other: VariantCounts): void {
  counts.requests += other.requests;
  counts.errors += other.errors;
  addHistogram(counts.times, other.times);
}

/** The sum of some, which stay as they are. */
export function sumCounts(some: readonly VariantCounts[]): VariantCounts {
  const sum = noCounts();
  for (const one of some) addCounts(sum, one);
  return sum;
}
