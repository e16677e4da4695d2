import type { LimitItem } from "../../../objects/rate-limiter/limit-item.ts";
import { windowAt } from "../../../objects/rate-limiter/algorithms/time-window.ts";

/** What was admitted under a limit, watched from outside: knows nothing of leases. */
export interface Admissions {
  /** Tokens that passed at this instant; instants never go back. */
  admit(tokens: number, now: number): void;
  /** The most tokens above its promise that any window held; 0 or less: none. */
  worst(): number;
}

/** Counts as each algorithm promises (docs/design/algorithms.md). */
export function admissions(limit: LimitItem): Admissions {
  const { tokensPerWindow, windowMs, algorithm = "token-bucket" } = limit;
  switch (algorithm) {
    case "token-bucket":
      return envelope(limit);
    case "sliding-window":
      return trailing(tokensPerWindow, windowMs);
    case "approximate-sliding-window":
      return trailing(2 * tokensPerWindow, windowMs);
    case "fixed-window":
      return perWindow(limit);
  }
}

/** True trailing windows: at most `most` within [now - windowMs, now]. */
function trailing(most: number, windowMs: number): Admissions {
  const passed: { readonly at: number; readonly tokens: number }[] = [];
  let worst = -Infinity;
  let from = 0;
  let sum = 0;
  return {
    admit(tokens, now) {
      passed.push({ at: now, tokens });
      sum += tokens;
      for (let first = passed[from]; first !== undefined && first.at < now - windowMs; first = passed[from]) {
        sum -= first.tokens;
        from += 1;
      }
      worst = Math.max(worst, sum - most);
    },
    worst: () => worst,
  };
}

function perWindow({ tokensPerWindow, windowMs, calendar }: LimitItem): Admissions {
  const rule =
    calendar === undefined ? ({ kind: "fixed", windowMs } as const) : ({ kind: "calendar", ...calendar } as const);
  let worst = -Infinity;
  let id = -Infinity;
  let sum = 0;
  return {
    admit(tokens, now) {
      const window = windowAt(rule, now);
      if (window.id !== id) sum = 0;
      ({ id } = window);
      sum += tokens;
      worst = Math.max(worst, sum - tokensPerWindow);
    },
    worst: () => worst,
  };
}

/** A bucket that starts full; it lacks a token exactly when some interval of t ms held more than B + L t / W. */
function envelope({ tokensPerWindow, windowMs, burst }: LimitItem): Admissions {
  let units = burst * windowMs;
  let last: number | undefined;
  let worst = -Infinity;
  return {
    admit(tokens, now) {
      units = Math.min(burst * windowMs, units + (now - (last ?? now)) * tokensPerWindow);
      last = now;
      units -= tokens * windowMs;
      worst = Math.max(worst, -units / windowMs);
    },
    worst: () => worst,
  };
}
