/** The last outcomes of an isolate, in a ring that is changed in place: every request passes here. */
export interface RecentOutcomes {
  readonly times: number[];
  readonly failed: boolean[];
  next: number;
}

/** Enough that 20 % of errors look like 50 % once in thousands of calls, few enough to fill in 0.3 s at 100 a second. */
const SIZE = 30;
/** Older ones say nothing of now. */
const RECENT_MS = 1_000;
/** Fewer outcomes have no ratio. */
const MIN_CALLS = 10;

/** No outcomes. */
export function noOutcomes(): RecentOutcomes {
  return { times: Array<number>(SIZE).fill(-Infinity), failed: Array<boolean>(SIZE).fill(false), next: 0 };
}

/** Adds an outcome in place of the oldest. */
export function addOutcome(recent: RecentOutcomes, isFailure: boolean, now: number): void {
  recent.times[recent.next] = now;
  recent.failed[recent.next] = isFailure;
  recent.next = (recent.next + 1) % SIZE;
}

/** Forgets all. */
export function forgetOutcomes(recent: RecentOutcomes): void {
  recent.times.fill(-Infinity);
}

/** Share of failures among the last 30 outcomes that are at most 1 s old; undefined: fewer than 10. */
export function failedShare({ times, failed }: RecentOutcomes, now: number): number | undefined {
  let calls = 0;
  let failures = 0;
  for (let index = 0; index < SIZE; index++) {
    const ageMs = now - (times[index] ?? -Infinity);
    if (!(Math.abs(ageMs) <= RECENT_MS)) continue;
    calls += 1;
    if (failed[index] === true) failures += 1;
  }
  return calls < MIN_CALLS ? undefined : failures / calls;
}
