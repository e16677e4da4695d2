import { MAX_CLOCK_STEP_BACK_MS, isExact } from "./token-bucket.ts";

/** About `tokensPerWindow` (L) in a window of `windowMs` (W). `tokensPerWindow * windowMs` is at most 2^53. */
export interface ApproximateLimit {
  readonly tokensPerWindow: number;
  readonly windowMs: number;
}

/** Two counters: what was used in the running window of the clock and in the one before. */
export interface ApproximateWindow {
  /** Which window of the clock: floor(time / windowMs). */
  readonly index: number;
  readonly current: number;
  readonly previous: number;
  /** Milliseconds since the epoch, by the owner's clock. */
  readonly last: number;
}

/** The outcome of one `take`. */
export interface ApproximateDecision {
  readonly allowed: boolean;
  readonly window: ApproximateWindow;
  /** As in `BucketDecision`: 0, the shortest wait that helps, or null when the cost exceeds the limit. */
  readonly retryAfterMs: number | null;
}

/** Whether `take` counts this limit without rounding. */
export function isApproximateExact({ tokensPerWindow, windowMs }: ApproximateLimit): boolean {
  return isExact(tokensPerWindow, windowMs);
}

/** The window of a client never seen: nothing used. */
export function emptyWindow(limit: ApproximateLimit, now: number): ApproximateWindow {
  return { index: indexAt(limit, now), current: 0, previous: 0, last: now };
}

/** The window of a client whose record was lost at `lostAt`: all used up then. */
export function fullWindow(limit: ApproximateLimit, lostAt: number): ApproximateWindow {
  return { ...emptyWindow(limit, lostAt), current: limit.tokensPerWindow };
}

/**
 * Carries the counters to `now`. A clock that stepped back changes nothing; after a step back of more than 5 s the
 * window goes on from `now` with what it had left, and nothing more.
 */
export function advance(window: ApproximateWindow, limit: ApproximateLimit, now: number): ApproximateWindow {
  const { index, current, last } = window;
  if (last - now > MAX_CLOCK_STEP_BACK_MS) return usedUpTo(limit, limit.tokensPerWindow - room(window, limit), now);
  if (now <= last) return window;
  const ahead = indexAt(limit, now) - index;
  if (ahead === 0) return { ...window, last: now };
  return { index: index + ahead, current: 0, previous: ahead === 1 ? current : 0, last: now };
}

/**
 * Takes `cost` tokens if the estimate has room for them, else nothing.
 *
 * The estimate takes the previous window's use as spread evenly over it: previous * (W - e) / W + current, e being
 * the time since the running window began. That is wrong for whoever bursts at a boundary: any W holds at most 2 L,
 * because it touches two windows of the clock and each holds at most L, and an adversary gets 2 L - 1. Who cannot
 * have that wants the sliding window. In whole windows of the clock it is exact: never more than L.
 *
 * The weighted part is compared by cross-multiplication and never rounded: rounding it down, as is common, admits
 * tokens that the estimate itself refuses.
 *
 * @param cost an integer >= 0; 0 looks without taking and always passes.
 */
export function take(
  window: ApproximateWindow,
  limit: ApproximateLimit,
  cost: number,
  now: number,
): ApproximateDecision {
  const advanced = advance(window, limit, now);
  if (cost > limit.tokensPerWindow) return { allowed: false, window: advanced, retryAfterMs: null };
  if (cost > 0 && !hasRoom(advanced, limit, cost)) {
    return { allowed: false, window: advanced, retryAfterMs: waitFor(advanced, limit, cost) };
  }
  return { allowed: true, window: { ...advanced, current: advanced.current + cost }, retryAfterMs: 0 };
}

/** Counts tokens without asking whether they are there. */
export function charge(window: ApproximateWindow, cost: number): ApproximateWindow {
  return { ...window, current: window.current + cost };
}

/** What the estimate counts at `window.last`, rounded up; above the limit when that was lowered or a debt was made. */
export function used(window: ApproximateWindow, limit: ApproximateLimit): number {
  return limit.tokensPerWindow - room(window, limit);
}

/** Gives back tokens taken and not spent in the window with this `index`; those of an earlier one are lost. */
export function giveBack(window: ApproximateWindow, index: number, cost: number): ApproximateWindow {
  return window.index === index ? { ...window, current: Math.max(0, window.current - cost) } : window;
}

/**
 * Carries a window from one limit to another. With the same length, what was used stays used; with another, the
 * client keeps at most what it had left.
 */
export function changeLimit(
  window: ApproximateWindow,
  from: ApproximateLimit,
  to: ApproximateLimit,
  now: number,
): ApproximateWindow {
  const advanced = advance(window, from, now);
  if (from.windowMs === to.windowMs) return advanced;
  return usedUpTo(to, to.tokensPerWindow - room(advanced, from), advanced.last);
}

/** Whole tokens that a take could have at `window.last`. */
export function remaining(window: ApproximateWindow, limit: ApproximateLimit): number {
  return Math.max(0, room(window, limit));
}

/** When a window left alone has forgotten everything, in ms since the epoch; `window.last` when it has already. */
export function emptyAt({ index, current, previous, last }: ApproximateWindow, { windowMs }: ApproximateLimit): number {
  if (current > 0) return (index + 2) * windowMs;
  return previous > 0 ? (index + 1) * windowMs : last;
}

/** Which window of the clock holds a time. */
export function indexAt({ windowMs }: ApproximateLimit, time: number): number {
  return Math.floor(time / windowMs);
}

/** How much of the running window is left at `window.last`: W - e. */
function leftOf({ index, last }: ApproximateWindow, { windowMs }: ApproximateLimit): number {
  return windowMs - (last - index * windowMs);
}

function hasRoom(window: ApproximateWindow, limit: ApproximateLimit, cost: number): boolean {
  const free = limit.tokensPerWindow - window.current - cost;
  return window.previous * leftOf(window, limit) <= free * limit.windowMs;
}

/** The largest cost that passes; below 0 while a lowered limit is exceeded. */
function room(window: ApproximateWindow, limit: ApproximateLimit): number {
  const weighted = Math.ceil((window.previous * leftOf(window, limit)) / limit.windowMs);
  return limit.tokensPerWindow - window.current - weighted;
}

function usedUpTo(limit: ApproximateLimit, current: number, now: number): ApproximateWindow {
  return { ...emptyWindow(limit, now), current: Math.max(0, current) };
}

function waitFor(window: ApproximateWindow, limit: ApproximateLimit, cost: number): number {
  const { windowMs, tokensPerWindow } = limit;
  const left = leftOf(window, limit);
  const free = tokensPerWindow - window.current - cost;
  // Within this window the previous one's weight has to fall; `previous` is not 0, or the cost would have passed.
  if (free >= 0) return left - Math.floor((free * windowMs) / window.previous);
  // In the next one `current` is what was used before; it is above tokensPerWindow - cost, so it has to fall too.
  return left + windowMs - Math.floor(((tokensPerWindow - cost) * windowMs) / window.current);
}
