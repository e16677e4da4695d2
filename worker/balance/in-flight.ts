/**
 * Calls in flight to one target. Each is counted for a while and no longer, whether or not its end is ever heard of. Changed
 * in place, because every call passes here.
 */
export interface InFlight {
  count: number;
  /** Calls by the second in which their lease ends: as many entries as a lease has seconds, whatever the traffic. */
  readonly ends: Map<number, number>;
  sweptAt: number;
}

/** One call that is counted. */
export interface CountedCall {
  readonly second: number;
  isOver: boolean;
}

const SECOND_MS = 1_000;

/** Nothing in flight. */
export function noneInFlight(): InFlight {
  return { count: 0, ends: new Map(), sweptAt: -Infinity };
}

/**
 * Counts a call until `finish`, and for at most `leaseMs` rounded up to a full second, which should be the longest that one may
 * last: a client that vanishes without an end must not make its target look busy for ever.
 */
export function begin(inFlight: InFlight, leaseMs: number, now: number): CountedCall {
  // Few algorithms ever ask how many there are, and clients that vanish would leave an entry a second for the isolate's life.
  countInFlight(inFlight, now);
  const second = Math.ceil((now + leaseMs) / SECOND_MS);
  inFlight.ends.set(second, (inFlight.ends.get(second) ?? 0) + 1);
  inFlight.count += 1;
  return { second, isOver: false };
}

/** Ends a call; ending it again, or after its time, changes nothing. */
export function finish(inFlight: InFlight, call: CountedCall): void {
  if (call.isOver) return;
  call.isOver = true;
  const sharing = inFlight.ends.get(call.second);
  if (sharing === undefined) return;
  inFlight.count -= 1;
  if (sharing === 1) inFlight.ends.delete(call.second);
  else inFlight.ends.set(call.second, sharing - 1);
}

/** How many are in flight. Looks for leases that have run out once a second at most. */
export function countInFlight(inFlight: InFlight, now: number): number {
  const second = Math.floor(now / SECOND_MS);
  if (second === inFlight.sweptAt) return inFlight.count;
  inFlight.sweptAt = second;
  for (const [end, calls] of inFlight.ends) {
    if (end > second) continue;
    inFlight.ends.delete(end);
    inFlight.count -= calls;
  }
  return inFlight.count;
}
