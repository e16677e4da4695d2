import type { QuotaPolicy } from "./quota-policy.ts";

/** How long nobody may call the upstream, and why. Times are the owner's. */
export interface Pause {
  /** The first moment at which something may be granted again. */
  readonly until: number;
  /** Why it was last made longer. */
  readonly cause: PauseCause | null;
  /** Rises with each throttle. Grants carry it, so that answers can be told apart: of before the last throttle, or after. */
  readonly epoch: number;
  /** Throttles in a row. */
  readonly throttles: number;
}

/** `retry-after` and `rate-limit`: the upstream named the time; `backoff`: it did not. */
export type PauseCause = "retry-after" | "rate-limit" | "backoff";

/** What an answer of the upstream says of its limits. */
export type Signal =
  /** A 429 or 503; null: it named no time. */
  | { readonly kind: "throttled"; readonly retryAfterMs: number | null }
  /** Nothing is left of the upstream's own count for so long; the answer itself was none of the above. */
  | { readonly kind: "exhausted"; readonly resetMs: number }
  | { readonly kind: "ok" };

/** No pause, and no throttle ever. */
export const NO_PAUSE: Pause = { until: -Infinity, cause: null, epoch: 1, throttles: 0 };

/**
 * Takes in what an answer said that belongs to a slot of `epoch`. The very pause that was there when nothing follows.
 *
 * Without a time the pause is anything from 0 to a bound that doubles with each throttle in a row: full jitter (Brooker, "Exponential
 * Backoff And Jitter", 2015). Answers to requests that were under way together are one throttle. No signal shortens a pause.
 *
 * @param moment.random in [0, 1).
 */
export function heard(
  pause: Pause,
  { signal, epoch }: { readonly signal: Signal; readonly epoch: number },
  policy: QuotaPolicy,
  moment: { readonly now: number; readonly random: number },
): Pause {
  const { now, random } = moment;
  const isNews = epoch === pause.epoch;
  switch (signal.kind) {
    case "ok":
      return isNews && pause.throttles > 0 ? { ...pause, throttles: 0 } : pause;
    case "exhausted":
      return longer(pause, "rate-limit", now + Math.min(signal.resetMs, policy.maxPauseMs));
    case "throttled": {
      const next = isNews ? { ...pause, epoch: epoch + 1, throttles: pause.throttles + 1 } : pause;
      if (signal.retryAfterMs !== null) {
        return longer(next, "retry-after", now + Math.min(signal.retryAfterMs, policy.maxPauseMs));
      }
      if (!isNews) return next;
      const { baseMs, maxMs } = policy.backoff;
      const boundMs = Math.min(maxMs, policy.maxPauseMs, baseMs * 2 ** Math.min(pause.throttles, 30));
      return longer(next, "backoff", now + Math.floor(random * boundMs));
    }
  }
}

function longer(pause: Pause, cause: PauseCause, until: number): Pause {
  return until > pause.until ? { ...pause, cause, until } : pause;
}
