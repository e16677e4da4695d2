import type { Trials } from "./regression-evidence.ts";

/**
 * How much more the control's clients differ from each other than requests that fail independently would make them, at least 1: Pearson's
 * chi-squared of its cells by its degrees of freedom, as overdispersion is estimated for counts (McCullagh and Nelder, "Generalized
 * Linear Models", 1989, section 4.5).
 *
 * Where ten of two thousand clients always fail, the cells that hold them have many errors and the others none, though nothing is wrong
 * with anybody's version; the canary is one more such handful of clients. What speaks against it is divided by this.
 */
export function clientSpread(cells: readonly Trials[]): number {
  let trials = 0;
  let bad = 0;
  let used = 0;
  for (const cell of cells) {
    trials += cell.trials;
    bad += cell.bad;
    if (cell.trials > 0) used += 1;
  }
  if (used < 2 || bad === 0 || bad === trials) return 1;
  const rate = bad / trials;
  let squares = 0;
  for (const cell of cells) {
    if (cell.trials > 0) squares += (cell.bad - cell.trials * rate) ** 2 / (cell.trials * rate * (1 - rate));
  }
  return Math.max(1, squares / (used - 1));
}
