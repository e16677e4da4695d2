import { quantile } from "../latency-histogram.ts";
import type { ReleaseEvent, ReleaseState } from "./release.ts";
import type { RolloutMemory } from "./hear-rollout.ts";
import { CELLS, noCounts, sumCounts, type VariantCounts } from "./variant-counts.ts";

/** How a release stands, as operators read it. */
export interface RolloutStatus {
  readonly v: 1;
  readonly release: string;
  readonly epoch: number;
  readonly promoted: string | null;
  readonly aborted: readonly string[];
  /** The control first. */
  readonly variants: readonly VariantStatus[];
  /** The newest last. */
  readonly history: readonly ReleaseEvent[];
}

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

/** Describes a release, the present round included; null: nobody has said anything of it. */
export function rolloutStatus(state: ReleaseState, { round, epoch: of }: RolloutMemory): RolloutStatus | null {
  const { epoch, terms, promoted, aborted, history, judgement } = state;
  if (terms === null) return null;
  const seen = of === epoch ? [sumCounts(round.slice(0, CELLS)), ...round.slice(CELLS)] : [];
  const variants = terms.variants.map((name, index) =>
    describe(name, sumCounts([judgement.totals[index] ?? noCounts(), seen[index] ?? noCounts()])),
  );
  return { v: 1, release: terms.release, epoch, promoted, aborted, variants, history };
}

function describe(name: string, { requests, errors, times }: VariantCounts): VariantStatus {
  const [p50Ms = null, p95Ms = null, p99Ms = null] = [0.5, 0.95, 0.99].map((share) => quantile(times, share));
  return { name, requests, errors, p50Ms, p95Ms, p99Ms };
}
