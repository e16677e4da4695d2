/**
 * What of its weight a target has that became well at `wellSince`: a tenth at once, then rising evenly to all of it after
 * `slowStartMs`. Caches and connections of a target that has just started are cold.
 *
 * @param slowStartMs 0: all at once.
 */
export function slowStartWeight(weight: number, wellSince: number, slowStartMs: number, now: number): number {
  if (slowStartMs <= 0) return weight;
  const share = Math.max(0, now - wellSince) / slowStartMs;
  return weight * Math.min(1, Math.max(0.1, share));
}
