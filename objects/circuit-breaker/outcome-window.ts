/** Outcomes that count. `slow` is part of `ok`. */
export interface Counts {
  readonly ok: number;
  readonly failed: number;
  readonly slow: number;
}

/** The outcomes of the last window, in ten parts that lie still on the clock; those without an outcome are left out. */
export interface OutcomeWindow {
  readonly windowMs: number;
  /** The oldest first. */
  readonly parts: readonly Part[];
}

interface Part extends Counts {
  readonly index: number;
}

const PARTS = 10;

/** No outcomes at all. */
export const NOTHING: Counts = { ok: 0, failed: 0, slow: 0 };

/** A window without outcomes. */
export function emptyWindow(windowMs: number): OutcomeWindow {
  return { windowMs, parts: [] };
}

/**
 * Adds outcomes at `now`. However long nothing was added, every part that is too old goes: one that rotates by a part per
 * addition would keep the failures of an hour ago. A clock that stepped back adds to the newest part; by more than a
 * window, it starts anew.
 */
export function addOutcomes(window: OutcomeWindow, counts: Counts, now: number): OutcomeWindow {
  const parts = current(window, now);
  const newest = parts.at(-1);
  const index = Math.max(indexAt(window, now), newest?.index ?? -Infinity);
  if (newest?.index !== index) return { windowMs: window.windowMs, parts: [...parts, { index, ...counts }] };
  return { windowMs: window.windowMs, parts: parts.with(parts.length - 1, { index, ...sum(newest, counts) }) };
}

/** All outcomes of the window that ends at `now`; the oldest part is whole, so up to a tenth of a window too few. */
export function countOutcomes(window: OutcomeWindow, now: number): Counts {
  return current(window, now).reduce<Counts>(sum, NOTHING);
}

function current(window: OutcomeWindow, now: number): readonly Part[] {
  const index = indexAt(window, now);
  const isCurrent = (part: Part | undefined) => part !== undefined && Math.abs(part.index - index) < PARTS;
  const { parts } = window;
  // In order: when both ends are current, so is all between them.
  if (parts.length === 0 || (isCurrent(parts[0]) && isCurrent(parts.at(-1)))) return parts;
  return parts.filter(isCurrent);
}

function indexAt({ windowMs }: OutcomeWindow, now: number): number {
  return Math.floor((now * PARTS) / windowMs);
}

function sum(a: Counts, b: Counts): Counts {
  return { ok: a.ok + b.ok, failed: a.failed + b.failed, slow: a.slow + b.slow };
}
