/** A variant's part of all clients, in percent. */
export interface VariantShare {
  readonly percent: number;
}

/** Where the bands of variants lie between 0 and 1; the control, variant 0, has what is between the first and the others. */
export interface VariantBands {
  /** Below it is variant 1. */
  readonly lowEnd: number;
  /** From the first of them up is variant 2, below that from the second up variant 3, and so on. */
  readonly highStarts: readonly number[];
}

/**
 * Lays out the bands of the variants beside the control: the first from 0 upwards, the others from 1 downwards.
 *
 * So growing percentages sends nobody back to the control, and growing that of the first or the last variant moves nobody but
 * from the control to it: with up to two variants, always. With three no layout could do that for each, without remembering who had
 * been where: a variant's band would have to depend on its own percentage alone and be whatever each of the two others leaves.
 *
 * @param shares at most 100 together.
 */
export function layOutBands(shares: readonly VariantShare[]): VariantBands {
  const [first, ...others] = shares;
  let taken = 0;
  const highStarts = others.map(({ percent }) => {
    taken += percent;
    return 1 - taken / 100;
  });
  return { lowEnd: (first?.percent ?? 0) / 100, highStarts };
}

/**
 * The variant at a point, 0 for the control.
 *
 * @param point in (0, 1).
 */
export function variantAt({ lowEnd, highStarts }: VariantBands, point: number): number {
  if (point < lowEnd) return 1;
  for (let index = 0; index < highStarts.length; index++) {
    if (point >= (highStarts[index] ?? Infinity)) return index + 2;
  }
  return 0;
}
