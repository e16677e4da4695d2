/** A turn's outcome: whose it is, and the credits with which the next begins. */
export interface Turn {
  readonly index: number;
  readonly credits: readonly number[];
}

/**
 * The smooth weighted round robin of nginx (Igor Sysoev, 2012): everyone gains his weight, whoever has most is chosen and
 * pays the sum. Weights 5, 1, 1 give a a b a c a a and not a a a a a b c. Over any row of turns a target is at most one
 * turn per other target away from its share.
 *
 * @param credits of the turn before; others than `weights` in number (none at first, or targets changed) begin anew.
 * @param weights integers >= 0.
 * @param first in [0, 1): where an isolate begins, since many that begin with the same target would all send there.
 * @returns undefined when no weight is above 0.
 */
export function smoothRoundRobin(credits: readonly number[], weights: readonly number[], first = 0): Turn | undefined {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (total === 0) return undefined;
  if (credits.length === weights.length) return turn(credits, weights, total);
  let start: readonly number[] = weights.map(() => 0);
  for (let skipped = Math.floor(first * total); skipped > 0; skipped--) start = turn(start, weights, total).credits;
  return turn(start, weights, total);
}

function turn(credits: readonly number[], weights: readonly number[], total: number): Turn {
  let index = 0;
  let most = -Infinity;
  const gained = weights.map((weight, at) => {
    // Who lost his weight since keeps nothing of it.
    const credit = weight === 0 ? 0 : (credits[at] ?? 0) + weight;
    if (weight > 0 && credit > most) {
      most = credit;
      index = at;
    }
    return credit;
  });
  gained[index] = most - total;
  return { index, credits: gained };
}
