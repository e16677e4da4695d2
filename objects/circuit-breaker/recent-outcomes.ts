/** The last outcomes of an isolate, in a ring that is changed in place: every request passes here. */
export interface RecentOutcomes {
  readonly times: number[];
  readonly failed: boolean[];
  next: number;
}

/** Enough that 20 % of errors look like 50 % once in thousands of calls, few enough to fill in 0.3 s at 100 a second. */
const MOST = 30;
/** How far back is looked, where there are calls enough. */
const LOOK_MS = 300;

/** No outcomes. */
export function noOutcomes(): RecentOutcomes {
  return { times: Array<number>(MOST).fill(-Infinity), failed: Array<boolean>(MOST).fill(false), next: 0 };
}

/** Adds an outcome in place of the oldest. */
export function addOutcome(recent: RecentOutcomes, isFailure: boolean, now: number): void {
  recent.times[recent.next] = now;
  recent.failed[recent.next] = isFailure;
  recent.next = (recent.next + 1) % MOST;
}

/** Forgets all. */
export function forgetOutcomes(recent: RecentOutcomes): void {
  recent.times.fill(-Infinity);
}

/** Failures among the newest outcomes, of which `calls` were looked at. */
export interface FailedShare {
  readonly share: number;
  readonly calls: number;
}

/**
 * The share of failures among the outcomes of about the last 300 ms, `least` at least and 30 at most; undefined where there are
 * fewer than `least` that are younger than `maxAgeMs`.
 */
export function failedShare(
  recent: RecentOutcomes,
  least: number,
  maxAgeMs: number,
  now: number,
): FailedShare | undefined {
  const inSecond = countNewer(recent, 1_000, now);
  const calls = Math.min(MOST, Math.max(least, Math.round((inSecond * LOOK_MS) / 1_000)));
  if (countNewer(recent, maxAgeMs, now) < calls) return undefined;
  let failures = 0;
  for (let back = 1; back <= calls; back++) {
    if (recent.failed[(recent.next + MOST - back) % MOST] === true) failures += 1;
  }
  return { share: failures / calls, calls };
}

/** Of a ring of thirty: more than 30 calls a second are taken for 100, the most that makes a difference. */
function countNewer({ times }: RecentOutcomes, ageMs: number, now: number): number {
  let count = 0;
  for (const time of times) if (Math.abs(now - time) < ageMs) count += 1;
  return count === MOST ? 100 : count;
}
