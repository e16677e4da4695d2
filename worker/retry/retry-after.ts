import { parseHttpDate } from "../http-date.ts";

/**
 * How long a `Retry-After` asks to wait, in ms: seconds, or a date of which the past means 0. Undefined where it says nothing that
 * can be read, which is no reason to fail: the wait is ours then.
 *
 * @param now in ms since the epoch.
 */
export function retryAfterMs(value: string | null | undefined, now: number): number | undefined {
  const text = value?.trim() ?? "";
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1_000, Number.MAX_SAFE_INTEGER);
  const at = parseHttpDate(text, now);
  return at === undefined ? undefined : Math.max(0, at - now);
}
