/** A little more than the sum of 1 / (n ln² n) over all n from 2 on, which is 2.1097. */
const SUM = 2.11;

/**
 * The part of a stake that is put on a regression beginning in this round; all parts together are less than 1. Without it a wager that has
 * lost through a good week would have to win that back before it could tell of a bad hour (Lorden, 1971). The series is one of
 * those that converge the slowest: what a late beginning costs is ln s + 2 ln ln s, 16 after a day of seconds.
 *
 * @param round from 1.
 */
export function startWeight(round: number): number {
  const n = round + 1;
  return 1 / (SUM * n * Math.log(n) ** 2);
}
