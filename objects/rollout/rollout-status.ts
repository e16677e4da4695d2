import type { ReleaseEvent, ReleaseState } from "./release.ts";
import type { RolloutMemory } from "./hear-rollout.ts";
import { CELLS, noCounts, sumCounts } from "./variant-counts.ts";
import { describeVariant, type VariantStatus } from "./variant-status.ts";

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

/** Describes a release, the present round included; null: nobody has said anything of it. */
export function rolloutStatus(state: ReleaseState, { round, epoch: of }: RolloutMemory): RolloutStatus | null {
  const { epoch, terms, promoted, aborted, history, judgement } = state;
  if (terms === null) return null;
  const seen = of === epoch ? [sumCounts(round.slice(0, CELLS)), ...round.slice(CELLS)] : [];
  const variants = terms.variants.map((name, index) =>
    describeVariant(name, sumCounts([judgement.totals[index] ?? noCounts(), seen[index] ?? noCounts()])),
  );
  return { v: 1, release: terms.release, epoch, promoted, aborted, variants, history };
}
