import { quantile } from "../latency-histogram.ts";
import type { VariantCounts } from "./variant-counts.ts";

/** What came of the clients that a variant got by its share, since the epoch began. */
export interface VariantStatus {
  readonly name: string;
  readonly requests: number;
  readonly errors: number;
  /** Of the answers that were no errors, until their heads; null: there were none. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
}

/** What has been counted of a variant, as operators read it. */
export function describeVariant(name: string, { requests, errors, times }: VariantCounts): VariantStatus {
  const [p50Ms = null, p95Ms = null, p99Ms = null] = [0.5, 0.95, 0.99].map((share) => quantile(times, share));
  return { name, requests, errors, p50Ms, p95Ms, p99Ms };
}
