import { fullAt, type Bucket, type BucketLimit } from "../algorithms/token-bucket.ts";

/**
 * A stretch of time in which a bucket stood at its ceiling while leases were out, so that its refill was turned away:
 * `tokensPerWindow` units of 1 / windowMs in each millisecond of (from, to].
 */
export interface TurnedAway {
  readonly from: number;
  readonly to: number;
  /** Units that were credited since. */
  readonly used: number;
}

/** Tokens that an isolate spent, all of them by the time `at` on the owner's clock. */
export interface Spent {
  readonly at: number;
  readonly tokens: number;
}

/** Nothing older than this can meet a live lease. */
const HORIZON_MS = 6_000;
const MAX_STRETCHES = 64;

/** Adds what is turned away while `bucket` advances to `to`. Under a burst that leases exceed nothing is: it is lost. */
export function noteTurnedAway(
  stretches: readonly TurnedAway[],
  bucket: Bucket,
  limit: BucketLimit,
  to: number,
): readonly TurnedAway[] {
  if (bucket.outstanding === 0 || bucket.outstanding > limit.burst) return stretches;
  const from = Math.max(fullAt(bucket, limit), to - HORIZON_MS);
  if (from >= to) return stretches;
  const last = stretches.at(-1);
  // Longer is the only way a stretch changes, and what was used of it stays used.
  if (last !== undefined && from <= last.to) return [...stretches.slice(0, -1), { ...last, to }];
  const recent = stretches.filter((stretch) => stretch.to > to - HORIZON_MS);
  return [...recent.slice(1 - MAX_STRETCHES), { from, to, used: 0 }];
}

/**
 * Matches spent tokens with refill that was turned away after they were spent, each unit once: how many units of
 * 1 / windowMs to credit, and what is left for later reports.
 *
 * Until it is reported, a spent token counts as if its isolate still held it; so from its spending on the bucket could
 * have taken one token more than its ceiling let it. A stretch that began before is used only up to the refill after
 * the spending, however earlier tokens used it, which is the condition under which every token finds its own units.
 *
 * @param spent the latest first: what may be matched with the latest may be matched with all.
 * @param most the units that there is room for.
 */
export function creditSpent(
  stretches: readonly TurnedAway[],
  spent: readonly Spent[],
  limit: BucketLimit,
  most: number,
): { readonly units: number; readonly left: readonly TurnedAway[] } {
  const left = [...stretches];
  let units = 0;
  for (const { at, tokens } of spent) {
    let wanted = Math.min(tokens * limit.windowMs, most - units);
    for (const [index, stretch] of left.entries()) {
      if (wanted <= 0) break;
      if (stretch.to <= at) continue;
      const refill = Math.min(
        (stretch.to - Math.max(stretch.from, at)) * limit.tokensPerWindow,
        Number.MAX_SAFE_INTEGER,
      );
      const matched = Math.min(wanted, Math.max(0, refill - stretch.used));
      if (matched === 0) continue;
      left[index] = { ...stretch, used: stretch.used + matched };
      wanted -= matched;
      units += matched;
    }
  }
  return { units, left };
}
