import { BINS } from "./lease-rules.ts";
import type { Spent } from "./turned-away.ts";

/**
 * When an isolate spent the tokens of a lease, in ten bins of `binMs` from the last report on; the tenth has no end.
 * Changed in place: it is written for every request.
 */
export interface SpendHistogram {
  since: number;
  binMs: number;
  readonly bins: number[];
}

/** An empty histogram. */
export function newHistogram(): SpendHistogram {
  return { since: 0, binMs: 1, bins: Array.from({ length: BINS }, () => 0) };
}

/** Counts tokens that are spent now. After a step back of the clock they count as spent last, which credits least. */
export function countSpent(histogram: SpendHistogram, tokens: number, now: number): void {
  const bin = Math.floor((now - histogram.since) / histogram.binMs);
  const index = bin >= 0 && bin < BINS ? bin : BINS - 1;
  histogram.bins[index] = (histogram.bins[index] ?? 0) + tokens;
}

/** Forgets what was counted and starts anew from `now`, with bins for a lease of `ttlMs`. */
export function restart(histogram: SpendHistogram, ttlMs: number, now: number): void {
  histogram.bins.fill(0);
  histogram.since = now;
  histogram.binMs = Math.max(1, Math.ceil(ttlMs / BINS));
}

/**
 * A histogram as the owner reads it, the latest spending first: in the time of its own clock, and never earlier than it
 * was. The message cannot have left later than it arrived, so counting back from the arrival errs to the late side.
 *
 * @param spanMs from the start of the first bin to the sending.
 * @param shiftMs what is added for clocks that drift or stand still.
 */
export function readSpent(
  bins: readonly number[],
  { spanMs, binMs }: { readonly spanMs: number; readonly binMs: number },
  shiftMs: number,
  now: number,
): readonly Spent[] {
  const spent: Spent[] = [];
  for (let bin = Math.min(bins.length, BINS) - 1; bin >= 0; bin--) {
    const tokens = bins[bin] ?? 0;
    const agoMs = bin === BINS - 1 ? 0 : Math.max(0, spanMs - (bin + 1) * binMs);
    if (tokens > 0) spent.push({ at: now - agoMs + shiftMs, tokens });
  }
  return spent;
}
