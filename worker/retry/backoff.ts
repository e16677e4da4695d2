/** How long to wait between tries, in ms. */
export interface BackoffPolicy {
  /** The most before the first retry; default 50. */
  readonly baseMs: number;
  /** The most before any; default 1,000. */
  readonly maxMs: number;
}

/** What holds where nothing is configured. */
export const DEFAULT_BACKOFF: BackoffPolicy = { baseMs: 50, maxMs: 1_000 };

/**
 * How long to wait before retry number `retry` (from 1): anything from 0 to a bound that doubles. Full jitter needs the least work
 * and time of all kinds, as those who failed together don't come back together (Brooker, "Exponential Backoff And Jitter", 2015).
 *
 * @param random in [0, 1).
 */
export function backoff(retry: number, random: number, { baseMs, maxMs }: BackoffPolicy = DEFAULT_BACKOFF): number {
  return Math.floor(random * Math.min(maxMs, baseMs * 2 ** Math.min(retry - 1, 30)));
}
