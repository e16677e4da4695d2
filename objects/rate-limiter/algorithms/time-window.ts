import { changeBetween, firstInstantOf, offsetAt } from "./time-zone.ts";

/** How time is cut into windows: every `windowMs` since the epoch, or as a calendar and the clocks of a zone do. */
export type WindowRule =
  | { readonly kind: "fixed"; readonly windowMs: number }
  | { readonly kind: "calendar"; readonly unit: CalendarUnit; readonly timeZone: string };

/** A week begins on Monday (ISO 8601). */
export type CalendarUnit = "minute" | "hour" | "day" | "week" | "month";

/** A window: the times from `id` up to, but not including, `endsAt`. */
export interface TimeWindow {
  /** The first instant, in ms since the epoch: no two windows of a rule share it, and later ones have higher ids. */
  readonly id: number;
  readonly endsAt: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** The last window of each unit and zone: finding one asks `Intl` several times at 3 us each. */
const lastWindows = new Map<string, TimeWindow>();

/**
 * The window that holds `time`. The windows of a rule tile time: each instant lies in exactly one.
 *
 * A day, week or month begins when the zone's clocks first show its first midnight or later; so a day may last 23 or
 * 25 hours, begins at 1:00 where midnight is skipped, and is empty where a whole day is. A minute or hour begins
 * whenever the clocks show a full one, so an hour is never shorter than 60 minutes; where clocks move by half an
 * hour (Australia/Lord_Howe), one hour a change lasts 90 minutes.
 *
 * @throws RangeError for a zone that the runtime does not know.
 */
export function windowAt(rule: WindowRule, time: number): TimeWindow {
  if (rule.kind === "fixed") {
    const id = time - mod(time, rule.windowMs);
    return { id, endsAt: id + rule.windowMs };
  }
  const { unit, timeZone } = rule;
  const key = `${unit} ${timeZone}`;
  const known = lastWindows.get(key);
  if (known !== undefined && known.id <= time && time < known.endsAt) return known;
  const window = calendarWindow(unit, timeZone, time);
  lastWindows.set(key, window);
  return window;
}

function calendarWindow(unit: CalendarUnit, timeZone: string, time: number): TimeWindow {
  switch (unit) {
    case "minute":
      return clockWindow(MINUTE_MS, timeZone, time);
    case "hour":
      return clockWindow(HOUR_MS, timeZone, time);
    case "day":
    case "week":
    case "month":
      return dateWindow(unit, timeZone, time);
  }
}

/** From one full unit on the zone's clocks to the next. */
function clockWindow(unitMs: number, timeZone: string, time: number): TimeWindow {
  const isFull = (instant: number) => mod(instant + offsetAt(timeZone, instant), unitMs) === 0;
  const id = time - mod(time + offsetAt(timeZone, time), unitMs);
  const endsAt = id + unitMs;
  return {
    id: isFull(id) ? id : fullBefore(changeBetween(timeZone, id, time)),
    endsAt: isFull(endsAt) ? endsAt : fullFrom(changeBetween(timeZone, time, endsAt)),
  };

  function fullBefore(change: number): number {
    return change - 1 - mod(change - 1 + offsetAt(timeZone, change - 1), unitMs);
  }
  function fullFrom(change: number): number {
    return change + mod(-change - offsetAt(timeZone, change), unitMs);
  }
}

/** From the first midnight of a day, week or month to that of the next. */
function dateWindow(unit: "day" | "week" | "month", timeZone: string, time: number): TimeWindow {
  let day = firstDayOf(unit, Math.floor((time + offsetAt(timeZone, time)) / DAY_MS));
  let id = firstInstantOf(timeZone, day * DAY_MS);
  for (;;) {
    day = dayAfter(unit, day);
    const endsAt = firstInstantOf(timeZone, day * DAY_MS);
    if (time < endsAt) return { id, endsAt };
    // Clocks that went back over midnight show the old date again: the new window has begun all the same.
    id = endsAt;
  }
}

/** Days are numbered from 1970-01-01, a Thursday. */
function firstDayOf(unit: "day" | "week" | "month", day: number): number {
  if (unit === "day") return day;
  return unit === "week" ? day - mod(day + 3, 7) : day - dayOfMonth(day) + 1;
}

function dayAfter(unit: "day" | "week" | "month", first: number): number {
  if (unit === "month") return firstDayOf("month", first + 31);
  return unit === "week" ? first + 7 : first + 1;
}

/** The Gregorian day of the month. Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days. */
function dayOfMonth(day: number): number {
  const dayOfEra = mod(day + 719_468, 146_097);
  const leapDays = Math.floor(dayOfEra / 1_460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const month = Math.floor((5 * dayOfYear + 2) / 153);
  return dayOfYear - Math.floor((153 * month + 2) / 5) + 1;
}

function mod(value: number, by: number): number {
  return ((value % by) + by) % by;
}
