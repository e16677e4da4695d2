import type { Grid, SubBucket } from "./sub-buckets.ts";
import { addTo, dropBefore, gridOf, indexAt, startOf, takeFrom, total } from "./sub-buckets.ts";
import { MAX_CLOCK_STEP_BACK_MS } from "./token-bucket.ts";

/** At most `tokensPerWindow` (L) in any window of `windowMs` (W), wherever it begins. */
export interface SlidingLimit {
  /** A safe integer of at least 1. */
  readonly tokensPerWindow: number;
  /** Milliseconds, at least 1. */
  readonly windowMs: number;
  /** How many parts the window is counted in (n); 60 by default. More: less under-use, a longer record. */
  readonly subBuckets?: number;
}

/** What a sliding window remembers of one client: at most n + 1 counts, and those of leases that end later. */
export interface SlidingWindow {
  /** Oldest first. */
  readonly buckets: readonly SubBucket[];
  /** Milliseconds since the epoch, by the owner's clock. */
  readonly last: number;
  /** The latest time at which anything counted here may be spent; after `last` only while leases live. */
  readonly spendableUntil: number;
}

/** The outcome of one `take`. */
export interface SlidingDecision {
  readonly allowed: boolean;
  readonly window: SlidingWindow;
  /** As in `BucketDecision`: 0, the shortest wait that helps, or null when the cost exceeds the limit. */
  readonly retryAfterMs: number | null;
}

/** The under-use is 1/60 of a window, and a full record stays under half a kilobyte. */
const DEFAULT_SUB_BUCKETS = 60;

/** The window of a client never seen: nothing used. */
export function emptyWindow(now: number): SlidingWindow {
  return { buckets: [], last: now, spendableUntil: now };
}

/** The window of a client whose record was lost at `lostAt`: all used up then, so it cannot admit too much. */
export function fullWindow(limit: SlidingLimit, lostAt: number): SlidingWindow {
  const index = indexAt(gridFor(limit), lostAt);
  return { buckets: [{ index, count: limit.tokensPerWindow }], last: lostAt, spendableUntil: lostAt };
}

/**
 * Drops what has left the window at `now`.
 *
 * A part is counted while any of it is younger than W, its oldest edge included, so no window [t - W, t] ever holds
 * more than L, and each token is counted for at most W + ceil(W / n). A clock that stepped back drops nothing; after
 * a step back of more than 5 s everything goes on from `now` at the age it had, rounded to younger.
 */
export function advance(window: SlidingWindow, limit: SlidingLimit, now: number): SlidingWindow {
  const grid = gridFor(limit);
  const back = window.last - now;
  if (back > MAX_CLOCK_STEP_BACK_MS) {
    const parts = indexAt(grid, back);
    const buckets = window.buckets.map(({ index, count }) => ({ index: index - parts, count }));
    return { buckets, last: now, spendableUntil: window.spendableUntil - back };
  }
  if (back >= 0) return window;
  const buckets = dropBefore(window.buckets, indexAt(grid, now) - grid.perWindow);
  return { buckets, last: now, spendableUntil: Math.max(now, window.spendableUntil) };
}

/**
 * Takes `cost` tokens if the window has room for them, else nothing.
 *
 * @param cost an integer >= 0; 0 looks without taking and always passes.
 * @param until for a lease: the latest time by the owner's clock at which the tokens may be spent. They then count
 * from now until `until` + W, whenever they are spent, so leases admit no more than takes do; the under-use is
 * (until - now) / W.
 */
export function take(
  window: SlidingWindow,
  limit: SlidingLimit,
  cost: number,
  now: number,
  until: number = now,
): SlidingDecision {
  const advanced = advance(window, limit, now);
  if (cost > limit.tokensPerWindow) return { allowed: false, window: advanced, retryAfterMs: null };
  const grid = gridFor(limit);
  const missing = total(advanced.buckets) + cost - limit.tokensPerWindow;
  if (missing > 0 && cost > 0) {
    return {
      allowed: false,
      window: advanced,
      retryAfterMs: leavesAt(grid, advanced.buckets, missing) - advanced.last,
    };
  }
  const spendableUntil = Math.max(advanced.spendableUntil, until);
  const buckets = addTo(advanced.buckets, indexAt(grid, Math.max(advanced.last, until)), cost);
  return { allowed: true, window: { ...advanced, buckets, spendableUntil }, retryAfterMs: 0 };
}

/** Counts tokens at `window.last` without asking whether they are there. */
export function charge(window: SlidingWindow, limit: SlidingLimit, cost: number): SlidingWindow {
  return { ...window, buckets: addTo(window.buckets, indexAt(gridFor(limit), window.last), cost) };
}

/** What is counted at `window.last`; above the limit when that was lowered or a debt was made. */
export function used(window: SlidingWindow): number {
  return total(window.buckets);
}

/**
 * Gives back tokens that were taken and not spent. `until` is that of the take, or its time; what has left the window
 * since is lost.
 */
export function giveBack(
  window: SlidingWindow,
  limit: SlidingLimit,
  cost: number,
  times: { readonly until: number; readonly now: number },
): SlidingWindow {
  const advanced = advance(window, limit, times.now);
  return { ...advanced, buckets: takeFrom(advanced.buckets, indexAt(gridFor(limit), times.until), cost) };
}

/**
 * Forgets the oldest `tokens` counts, an operator's gift; what is lent may still be spent and goes on counting where it
 * does.
 */
export function keepCounts(
  window: SlidingWindow,
  limit: SlidingLimit,
  lent: readonly { readonly tokens: number; readonly countedAt?: number }[],
  tokens: number,
): SlidingWindow {
  const grid = gridFor(limit);
  let kept: readonly SubBucket[] = [];
  for (const one of lent) kept = addTo(kept, indexAt(grid, one.countedAt ?? window.spendableUntil), one.tokens);
  let left = tokens;
  let { buckets } = window;
  for (const { index, count } of window.buckets) {
    const keep = Math.min(count, kept.find((one) => one.index === index)?.count ?? 0);
    const gone = Math.min(left, count - keep);
    buckets = takeFrom(buckets, index, gone);
    left -= gone;
  }
  return { ...window, buckets };
}

/**
 * Counts tokens of a lease from when they were spent instead of from its end: the rest of the lease's time to live is
 * then no longer lost. `spent` must not be earlier than it was.
 *
 * Still never more than L in a window: a token that was spent at s is counted from its grant until `at` + W, and
 * s <= at; so at the last grant among those of any window that holds s it is counted.
 *
 * @param until that of the take.
 */
export function redate(
  window: SlidingWindow,
  limit: SlidingLimit,
  spent: readonly { readonly at: number; readonly tokens: number }[],
  until: number,
): SlidingWindow {
  const grid = gridFor(limit);
  const from = indexAt(grid, until);
  let { buckets } = window;
  for (const { at, tokens } of spent) {
    const to = indexAt(grid, at);
    const counted = buckets.find(({ index }) => index === from)?.count ?? 0;
    const moved = Math.min(tokens, counted);
    if (to < from) buckets = addTo(takeFrom(buckets, from, moved), to, moved);
  }
  return { ...window, buckets };
}

/**
 * Carries a window from one limit to another.
 *
 * With the same length, what was used stays used: the new limit holds at once, and any number of changes back and
 * forth lets no more through than the larger limit. With another length the past is not known well enough for that;
 * then the client keeps at most what it had left, and the rest comes back at the new rate, as in a token bucket.
 */
export function changeLimit(window: SlidingWindow, from: SlidingLimit, to: SlidingLimit, now: number): SlidingWindow {
  const advanced = advance(window, from, now);
  const [grid, next] = [gridFor(from), gridFor(to)];
  if (grid.windowMs === next.windowMs && grid.perWindow === next.perWindow) return advanced;
  let buckets: readonly SubBucket[] = [];
  for (const { index, count } of advanced.buckets) {
    // As if all of it had been spent in the last millisecond in which it may have been.
    const youngest = Math.min(advanced.spendableUntil, startOf(grid, index + 1) - 1);
    buckets = addTo(buckets, indexAt(next, youngest), count);
  }
  buckets = dropBefore(buckets, indexAt(next, advanced.last) - next.perWindow);
  const surplus = to.tokensPerWindow - total(buckets) - remaining(advanced, from);
  return { ...advanced, buckets: surplus > 0 ? spread(buckets, next, surplus, advanced.last) : buckets };
}

/** Tokens that a take could have at `window.last`; 0 also while a lowered limit is exceeded. */
export function remaining(window: SlidingWindow, limit: SlidingLimit): number {
  return Math.max(0, limit.tokensPerWindow - total(window.buckets));
}

/** How long until the oldest part leaves the window, at `window.last`; null when nothing is counted. */
export function releaseMs(window: SlidingWindow, limit: SlidingLimit): number | null {
  const [oldest] = window.buckets;
  return oldest === undefined ? null : goneAt(gridFor(limit), oldest) - window.last;
}

/** When a window left alone has forgotten everything, in ms since the epoch; `window.last` when it has already. */
export function emptyAt(window: SlidingWindow, limit: SlidingLimit): number {
  const newest = window.buckets.at(-1);
  return newest === undefined ? window.last : goneAt(gridFor(limit), newest);
}

function gridFor({ windowMs, subBuckets }: SlidingLimit): Grid {
  return gridOf(windowMs, subBuckets ?? DEFAULT_SUB_BUCKETS);
}

function goneAt(grid: Grid, { index }: SubBucket): number {
  return startOf(grid, index + grid.perWindow + 1);
}

/** When at least `missing` of what is counted has left the window. */
function leavesAt(grid: Grid, buckets: readonly SubBucket[], missing: number): number {
  let gone = 0;
  let at = 0;
  for (const bucket of buckets) {
    if (gone >= missing) break;
    gone += bucket.count;
    at = goneAt(grid, bucket);
  }
  return at;
}

/** Counts `count` more as if they had been spent evenly over the last window, the remainder at its end. */
function spread(buckets: readonly SubBucket[], grid: Grid, count: number, now: number): readonly SubBucket[] {
  const newest = indexAt(grid, now);
  const share = Math.floor(count / grid.perWindow);
  let spreadOut = addTo(buckets, newest, count - share * (grid.perWindow - 1));
  for (let age = 1; age < grid.perWindow; age += 1) spreadOut = addTo(spreadOut, newest - age, share);
  return spreadOut;
}
