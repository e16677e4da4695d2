/** Seeded randomness: the same seed gives the same run. */
export interface Random {
  /** In [0, 1). */
  next(): number;
  /** In [min, max), not rounded. */
  between(min: number, max: number): number;
  /** An integer in [min, max]. */
  integer(min: number, max: number): number;
  exponential(mean: number): number;
  lognormal(median: number, sigma: number): number;
  pick<Item>(items: readonly [Item, ...Item[]]): Item;
}

/** Mulberry32: 32 bits of state are plenty for runs of some million draws. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  const exponential = (mean: number) => -Math.log(1 - next()) * mean;
  return {
    next,
    between: (min, max) => min + next() * (max - min),
    integer: (min, max) => min + Math.floor(next() * (max - min + 1)),
    exponential,
    // Box and Muller.
    lognormal: (median, sigma) =>
      median * Math.exp(sigma * Math.sqrt(2 * exponential(1)) * Math.cos(2 * Math.PI * next())),
    pick: (items) => items[Math.floor(next() * items.length)] ?? items[0],
  };
}
