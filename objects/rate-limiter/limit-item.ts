import { isCount } from "../numbers.ts";
import { MAX_ID_LENGTH, costProblem, isText, wanted, type Unchecked } from "../message-checks.ts";
import type { CalendarUnit } from "./algorithms/time-window.ts";
import { isExact } from "./algorithms/token-bucket.ts";

/** The algorithms whose tokens a take or a lease hands out. */
const ALGORITHMS = ["token-bucket", "sliding-window", "approximate-sliding-window", "fixed-window"] as const;
const CALENDAR_UNITS: readonly unknown[] = ["minute", "hour", "day", "week", "month"] satisfies CalendarUnit[];

/** How a limit counts (docs/design/algorithms.md). Concurrency has its own messages. */
export type Algorithm = (typeof ALGORITHMS)[number];

/** Cuts the windows of a `fixed-window` limit at midnight and the like of an IANA zone. */
export interface Calendar {
  readonly unit: CalendarUnit;
  readonly timeZone: string;
}

/** The numbers of a limit, as every message about it carries them. */
export interface LimitItem {
  /** The policy's id; what survives when its numbers change. */
  readonly policy: string;
  readonly tokensPerWindow: number;
  /** With a `calendar`: the nominal length of its windows. */
  readonly windowMs: number;
  /** Of a token bucket, where `burst * windowMs` is at most 2^53; any other algorithm ignores it. */
  readonly burst: number;
  /** Absent: `token-bucket`. `approximate-sliding-window` wants `tokensPerWindow * windowMs` of at most 2^53. */
  readonly algorithm?: Algorithm;
  /** Only with `fixed-window`; absent: windows of `windowMs` since the epoch. */
  readonly calendar?: Calendar;
}

/** What is wrong with an item that names a limit and a cost. */
export function limitProblem(
  item: Unchecked<LimitItem & { cost: number; shadow: boolean }>,
  at: string,
): string | undefined {
  const { tokensPerWindow, windowMs, burst, algorithm = "token-bucket" } = item;
  if (!isCount(tokensPerWindow) || tokensPerWindow < 1) {
    return wanted(`${at}.tokensPerWindow`, tokensPerWindow, "an integer >= 1");
  }
  if (!isCount(windowMs) || windowMs < 1) return wanted(`${at}.windowMs`, windowMs, "an integer >= 1");
  if (!isCount(burst) || burst < 1) return wanted(`${at}.burst`, burst, "an integer >= 1");
  if (!isAlgorithm(algorithm)) return wanted(`${at}.algorithm`, algorithm, ALGORITHMS.join(", "));
  if (algorithm === "token-bucket" && !isExact(burst, windowMs)) {
    return wanted(`${at}.burst`, burst, "burst * windowMs of at most 2^53; shorten the window or the burst");
  }
  if (algorithm === "approximate-sliding-window" && !isExact(tokensPerWindow, windowMs)) {
    return wanted(`${at}.tokensPerWindow`, tokensPerWindow, "tokensPerWindow * windowMs of at most 2^53");
  }
  const problem = calendarProblem(item.calendar, algorithm, `${at}.calendar`);
  if (problem !== undefined) return problem;
  if (typeof item.shadow !== "boolean") return wanted(`${at}.shadow`, item.shadow, "true or false");
  return costProblem(item, at);
}

/** A zone that the runtime doesn't know makes the decision throw: only asking `Intl` tells, and the decision asks. */
function calendarProblem(calendar: unknown, algorithm: Algorithm, at: string): string | undefined {
  if (calendar === undefined) return undefined;
  if (algorithm !== "fixed-window") return wanted(at, calendar, "nothing unless the algorithm is fixed-window");
  if (typeof calendar !== "object" || calendar === null) return wanted(at, calendar, "unit and timeZone");
  const { unit, timeZone }: Unchecked<Calendar> = calendar;
  if (!CALENDAR_UNITS.includes(unit)) return wanted(`${at}.unit`, unit, CALENDAR_UNITS.join(", "));
  return isText(timeZone, MAX_ID_LENGTH) ? undefined : wanted(`${at}.timeZone`, timeZone, "1 to 64 characters");
}

function isAlgorithm(value: unknown): value is Algorithm {
  const known: readonly unknown[] = ALGORITHMS;
  return known.includes(value);
}
