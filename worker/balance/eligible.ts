/** What is known of a target when one is chosen. */
export interface Candidate {
  /** Its breaker refuses. */
  readonly isOpen: boolean;
  /** Health checks call it down since then; undefined: they don't. */
  readonly downSince: number | undefined;
  /** It is to get no new client. */
  readonly isDraining: boolean;
}

/** Shares of the targets, in [0, 1]. */
export interface EligibilityPolicy {
  /** The most that may be taken away; at least one target where there are several. Default 0.5. */
  readonly maxEjection: number;
  /** Below this share of healthy targets health checks are ignored. Default 0.5. */
  readonly panicThreshold: number;
}

/** Who may be chosen, by index, and whether health checks are ignored for it. */
export interface Eligible {
  readonly indexes: readonly number[];
  readonly isPanic: boolean;
}

/** What holds where nothing is configured. */
export const DEFAULT_ELIGIBILITY: EligibilityPolicy = { maxEjection: 0.5, panicThreshold: 0.5 };

/**
 * Which targets a request may go to.
 *
 * An open breaker is never passed by: it knows of requests that failed. A health check only suspects, and may itself be what
 * is broken; so it takes away at most `maxEjection` of the targets, those first that are down for longest, open ones
 * counted; and when fewer than `panicThreshold` are well, it is not believed at all, since sending everything to the few that
 * are left would bring them down too. A draining target is for clients that have been there, unless there is no other.
 *
 * @param bound the index of the target that this client is bound to, which it keeps while that drains.
 */
export function eligible(
  candidates: readonly Candidate[],
  { maxEjection, panicThreshold }: EligibilityPolicy = DEFAULT_ELIGIBILITY,
  bound?: number,
): Eligible {
  const all = candidates.map((candidate, index) => ({ ...candidate, index }));
  const staying = all.filter(({ isDraining, index }) => !isDraining || index === bound);
  const pool = staying.length === 0 ? all : staying;
  const closed = pool.filter(({ isOpen }) => !isOpen);
  const well = closed.filter(({ downSince }) => downSince === undefined);
  if (well.length < panicThreshold * pool.length) {
    return { indexes: closed.map(({ index }) => index), isPanic: closed.length > well.length };
  }
  const ejectable = Math.max(pool.length > 1 ? 1 : 0, Math.floor(maxEjection * pool.length));
  const openCount = pool.length - closed.length;
  const ejected = closed
    .filter(({ downSince }) => downSince !== undefined)
    .sort((a, b) => (a.downSince ?? 0) - (b.downSince ?? 0) || a.index - b.index)
    .slice(0, Math.max(0, ejectable - openCount))
    .map(({ index }) => index);
  const down = new Set(ejected);
  return { indexes: closed.map(({ index }) => index).filter((index) => !down.has(index)), isPanic: false };
}
