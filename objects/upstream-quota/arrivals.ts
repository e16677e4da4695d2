/** How fast requests come to one isolate. */
export interface Arrivals {
  /** Of the requests that are counted now. */
  readonly since: number;
  readonly count: number;
  /** Requests a millisecond, on average, by those counted before. */
  readonly before: number;
}

/** Requests are counted for so long, and what was before is forgotten by half in twice of it. */
const COUNT_MS = 100;
const HALF_MS = 200;
/** A page asks for some things at once; that is not how fast it will go on. */
const AT_ONCE = 4;

/** Of an isolate that has had no request yet. */
export const NO_ARRIVALS: Arrivals = { since: -Infinity, count: 0, before: 0 };

/** A request has come. */
export function noteArrival({ since, count, before }: Arrivals, now: number): Arrivals {
  const elapsedMs = now - since;
  if (elapsedMs >= 0 && elapsedMs < COUNT_MS) return { since, count: count + 1, before };
  // A clock that has stepped back tells nothing of how long it was.
  if (elapsedMs < 0) return { since: now, count: 1, before };
  const kept = 2 ** (-elapsedMs / HALF_MS);
  return { since: now, count: 1, before: before * kept + (count / elapsedMs) * (1 - kept) };
}

/** Requests a millisecond; a crowd that has just come counts at once. */
export function perMs({ count, before }: Arrivals): number {
  return Math.max(before, (count - AT_ONCE) / COUNT_MS);
}
