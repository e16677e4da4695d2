/**
 * A splice that this isolate can still cut. Nobody sees the end of one: neither the runtime nor a signal tells of it, so an object
 * that has one keeps it for as long as it might last; with some KB each, which is why there is an end to it.
 */
export interface CuttableSplice {
  /** Whether others have come for which it had to make room. It goes on, and nobody can cut it any more. */
  isLetGo: boolean;
}

const MOST_KEPT = 1_000;

const kept = new Set<CuttableSplice>();

/** Keeps one more, and lets the oldest go where there are too many. */
export function keepSplice(): CuttableSplice {
  const splice = { isLetGo: false };
  kept.add(splice);
  const [oldest] = kept;
  if (kept.size > MOST_KEPT && oldest !== undefined) forgetSplice(oldest);
  return splice;
}

/** Keeps it no longer. */
export function forgetSplice(splice: CuttableSplice): void {
  splice.isLetGo = true;
  kept.delete(splice);
}
