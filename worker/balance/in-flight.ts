/** Requests in flight to one target. Each is counted for a while and no longer, whether or not its end is ever heard of. */
export interface InFlight {
  readonly ends: ReadonlyMap<number, number>;
  readonly next: number;
}

/** Nothing in flight. */
export const NONE_IN_FLIGHT: InFlight = { ends: new Map(), next: 1 };

/**
 * Counts a request for at most `leaseMs`, which should be the longest that one may last: a client that vanishes without an end
 * must not make its target look busy for ever.
 */
export function begin(
  inFlight: InFlight,
  leaseMs: number,
  now: number,
): { readonly inFlight: InFlight; readonly id: number } {
  const ends = new Map([...inFlight.ends].filter(([, endsAt]) => endsAt > now));
  ends.set(inFlight.next, now + leaseMs);
  return { inFlight: { ends, next: inFlight.next + 1 }, id: inFlight.next };
}

/** Ends a request; ending it again, or after its time, changes nothing. */
export function finish(inFlight: InFlight, id: number): InFlight {
  if (!inFlight.ends.has(id)) return inFlight;
  const ends = new Map(inFlight.ends);
  ends.delete(id);
  return { ...inFlight, ends };
}

/** How many are in flight. */
export function countInFlight({ ends }: InFlight, now: number): number {
  let count = 0;
  for (const endsAt of ends.values()) if (endsAt > now) count += 1;
  return count;
}
