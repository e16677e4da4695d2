/**
 * Splices that this isolate can still cut. Nobody sees the end of one: neither the runtime nor a signal tells of it, so an object
 * that holds one holds it for as long as it might last; with some KB each, which is why there is an end to it.
 */
export interface HeldSplice {
  /** Whether others have come for which it had to make room. It goes on, and nobody can cut it any more. */
  isLetGo: boolean;
}

const MOST_HELD = 1_000;

const held = new Set<HeldSplice>();

/** Holds one more, and lets the oldest go where there are too many. */
export function holdSplice(): HeldSplice {
  const splice = { isLetGo: false };
  held.add(splice);
  const [oldest] = held;
  if (held.size > MOST_HELD && oldest !== undefined) forgetSplice(oldest);
  return splice;
}

/** Holds it no longer. */
export function forgetSplice(splice: HeldSplice): void {
  splice.isLetGo = true;
  held.delete(splice);
}
