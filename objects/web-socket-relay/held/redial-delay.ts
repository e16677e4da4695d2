import type { ReconnectTerms } from "./held-terms.ts";

/**
 * How long until an upstream that is lost is dialled again, in ms; null: it is given up. The last try is when that time is over.
 *
 * @param how.attempt how many tries there were, from 0 on. @param how.awayMs since it was lost. @param how.chance in [0, 1): half of a
 * delay is chance, as all sessions of an upstream that fell were lost at once.
 */
export function redialDelay(
  { minDelayMs, maxDelayMs, giveUpMs }: Pick<ReconnectTerms, "minDelayMs" | "maxDelayMs" | "giveUpMs">,
  { attempt, awayMs, chance }: { readonly attempt: number; readonly awayMs: number; readonly chance: number },
): number | null {
  const leftMs = giveUpMs - awayMs;
  if (leftMs <= 0) return null;
  const most = Math.min(maxDelayMs, minDelayMs * 2 ** Math.min(attempt, 30));
  return Math.min(leftMs, (most * (1 + chance)) / 2);
}
