/** The isolates that report, in memory only: they are there again with their next message. */
export interface Reporters {
  /** Notes a message; says whether it is one that was not heard before, and how many isolates there are. */
  note(message: ReporterMessage, now: number): { readonly isNew: boolean; readonly isolates: number };
}

interface ReporterMessage {
  readonly isolate: string;
  readonly seq: number;
  /** How many there are as the isolate was last told. */
  readonly isolates: number;
}

/** However few they are, an isolate reports no more often; however many, no less often. */
const MIN_PACE_MS = 1_000;
const MAX_PACE_MS = 10_000;
/** Of all isolates together. */
const REPORTS_PER_SECOND = 100;
/** One that has not come back after so many times the pace is gone. */
const GONE_PACES = 4;
/** More are not told apart. */
const MAX_REPORTERS = 4_096;

/** How long an isolate of so many is to wait before its next report. */
export function paceMs(isolates: number): number {
  return Math.min(MAX_PACE_MS, Math.max(MIN_PACE_MS, (isolates * 1_000) / REPORTS_PER_SECOND));
}

/** Nobody yet. */
export function createReporters(startedAt: number): Reporters {
  /** In the order of their last messages. */
  const seen = new Map<string, { readonly seq: number; readonly at: number }>();
  return {
    note({ isolate, seq, isolates }, now) {
      const known = seen.get(isolate);
      const isNew = known === undefined || seq > known.seq;
      seen.delete(isolate);
      const goneMs = GONE_PACES * paceMs(seen.size);
      for (const [one, { at }] of seen) {
        if (seen.size < MAX_REPORTERS && Math.abs(now - at) <= goneMs) break;
        seen.delete(one);
      }
      seen.set(isolate, { seq: isNew ? seq : known.seq, at: now });
      // An owner that has just started has not heard of all of them yet.
      const isLearning = Math.abs(now - startedAt) <= GONE_PACES * MAX_PACE_MS;
      return { isNew, isolates: Math.max(seen.size, isLearning ? Math.min(isolates, MAX_REPORTERS) : 0) };
    },
  };
}
