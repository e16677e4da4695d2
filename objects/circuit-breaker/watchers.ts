/** The isolates that watch a target, in memory only: they are there again with their next message. */
export interface Watchers {
  /** Notes that an isolate watches; says how many do. */
  note(isolate: string, now: number): number;
}

/** However few they are, an isolate asks no more often. */
const MIN_POLL_MS = 5_000;
/** Of all isolates together. */
const POLLS_PER_SECOND = 20;
/** One that has not come back after so many times the pause is gone. */
const GONE_POLLS = 3;
/** More are not told apart. */
const MAX_WATCHERS = 4_096;

/** How long an isolate of so many is to wait before it asks again; `random` in [0, 1) spreads them. */
export function pollMs(isolates: number, random: number): number {
  return Math.round(Math.max(MIN_POLL_MS, (isolates * 1_000) / POLLS_PER_SECOND) * (0.75 + random / 2));
}

/** No watchers yet. */
export function createWatchers(): Watchers {
  /** In the order of their last messages. */
  const seen = new Map<string, number>();
  return {
    note(isolate, now) {
      seen.delete(isolate);
      const goneMs = GONE_POLLS * pollMs(seen.size, 1);
      for (const [one, at] of seen) {
        if (seen.size < MAX_WATCHERS && Math.abs(now - at) <= goneMs) break;
        seen.delete(one);
      }
      seen.set(isolate, now);
      return seen.size;
    },
  };
}
