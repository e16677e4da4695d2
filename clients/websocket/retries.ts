import type { Settings } from "./options.ts";

/** Says when to try again. Times are readings of one clock, in ms. */
export interface Retries {
  /** There is a connection, and the session goes on. */
  connected(now: number): void;
  /** The next try, the first of which is 1; undefined: it has been tried for long enough. */
  next(now: number): { readonly attempt: number; readonly delayMs: number } | undefined;
}

/**
 * Waits any time up to a bound that doubles with each try, so that clients of a gateway that fell don't come all at once. What resets
 * each connection as soon as it is there would be met at once again and again, so only one that has lasted makes the next try a first one.
 */
export function createRetries({ giveUpMs, minDelayMs, maxDelayMs, stableMs, random }: Settings): Retries {
  let made = 0;
  let connectedAt: number | undefined;
  let failingSince: number | undefined;
  return {
    connected(now) {
      connectedAt = now;
      failingSince = undefined;
    },
    next(now) {
      if (connectedAt !== undefined && now - connectedAt >= stableMs) made = 0;
      connectedAt = undefined;
      failingSince ??= now;
      if (now - failingSince >= giveUpMs) return undefined;
      const delayMs = Math.floor(random() * Math.min(maxDelayMs, minDelayMs * 2 ** Math.min(made, 30)));
      made += 1;
      return { attempt: made, delayMs };
    },
  };
}
