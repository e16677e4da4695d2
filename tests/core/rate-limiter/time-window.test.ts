import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CalendarUnit, WindowRule } from "../../../objects/rate-limiter/algorithms/time-window.ts";
import { windowAt } from "../../../objects/rate-limiter/algorithms/time-window.ts";
import { isTimeZone, offsetAt } from "../../../objects/rate-limiter/algorithms/time-zone.ts";
import { RUNS } from "./arbitraries.ts";

const at = (text: string) => Date.parse(text);
const HOUR_MS = 3_600_000;

interface Row {
  readonly title: string;
  readonly unit: CalendarUnit;
  readonly timeZone: string;
  readonly time: string;
  /** The window, its ends told with the offset that the zone's clocks have then. */
  readonly window: readonly [from: string, until: string];
  readonly hours: number;
}

const rows: readonly Row[] = [
  {
    title: "a spring day of 23 hours",
    unit: "day",
    timeZone: "Europe/Berlin",
    time: "2026-03-29T12:00:00+02:00",
    window: ["2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"],
    hours: 23,
  },
  {
    title: "an autumn day of 25 hours",
    unit: "day",
    timeZone: "Europe/Berlin",
    time: "2026-10-25T02:30:00+01:00",
    window: ["2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"],
    hours: 25,
  },
  {
    title: "the first of two hours from 2:00",
    unit: "hour",
    timeZone: "Europe/Berlin",
    time: "2026-10-25T02:30:00+02:00",
    window: ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"],
    hours: 1,
  },
  {
    title: "the second of two hours from 2:00",
    unit: "hour",
    timeZone: "Europe/Berlin",
    time: "2026-10-25T02:30:00+01:00",
    window: ["2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"],
    hours: 1,
  },
  {
    title: "the hour before the skipped one",
    unit: "hour",
    timeZone: "Europe/Berlin",
    time: "2026-03-29T01:59:59.999+01:00",
    window: ["2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"],
    hours: 1,
  },
  {
    title: "a week of 169 hours",
    unit: "week",
    timeZone: "Europe/Berlin",
    time: "2026-10-25T23:59:59.999+01:00",
    window: ["2026-10-19T00:00:00+02:00", "2026-10-26T00:00:00+01:00"],
    hours: 169,
  },
  {
    title: "a month that gains an hour",
    unit: "month",
    timeZone: "Europe/Berlin",
    time: "2026-10-01T00:00:00+02:00",
    window: ["2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00"],
    hours: 745,
  },
  {
    title: "a spring day of 23 hours",
    unit: "day",
    timeZone: "America/New_York",
    time: "2026-03-08T03:00:00-04:00",
    window: ["2026-03-08T00:00:00-05:00", "2026-03-09T00:00:00-04:00"],
    hours: 23,
  },
  {
    title: "an autumn day of 25 hours",
    unit: "day",
    timeZone: "America/New_York",
    time: "2026-11-01T01:30:00-05:00",
    window: ["2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00"],
    hours: 25,
  },
  {
    title: "the last ms of a year",
    unit: "month",
    timeZone: "America/New_York",
    time: "2026-12-31T23:59:59.999-05:00",
    window: ["2026-12-01T00:00:00-05:00", "2027-01-01T00:00:00-05:00"],
    hours: 744,
  },
  {
    title: "the first ms of a year, still the old one in UTC's west",
    unit: "day",
    timeZone: "America/New_York",
    time: "2027-01-01T00:00:00Z",
    window: ["2026-12-31T00:00:00-05:00", "2027-01-01T00:00:00-05:00"],
    hours: 24,
  },
  {
    title: "a week over a year's end",
    unit: "week",
    timeZone: "UTC",
    time: "2027-01-01T00:00:00Z",
    window: ["2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"],
    hours: 168,
  },
  {
    title: "clocks ahead by half an hour",
    unit: "day",
    timeZone: "Australia/Lord_Howe",
    time: "2026-10-04T12:00:00+11:00",
    window: ["2026-10-04T00:00:00+10:30", "2026-10-05T00:00:00+11:00"],
    hours: 23.5,
  },
  {
    title: "clocks back by half an hour",
    unit: "day",
    timeZone: "Australia/Lord_Howe",
    time: "2026-04-05T12:00:00+10:30",
    window: ["2026-04-05T00:00:00+11:00", "2026-04-06T00:00:00+10:30"],
    hours: 24.5,
  },
  {
    title: "an hour stretched over the half one that is skipped, before it",
    unit: "hour",
    timeZone: "Australia/Lord_Howe",
    time: "2026-10-04T01:59:00+10:30",
    window: ["2026-10-04T01:00:00+10:30", "2026-10-04T03:00:00+11:00"],
    hours: 1.5,
  },
  {
    title: "an hour stretched over the half one that is skipped, after it",
    unit: "hour",
    timeZone: "Australia/Lord_Howe",
    time: "2026-10-04T02:30:00+11:00",
    window: ["2026-10-04T01:00:00+10:30", "2026-10-04T03:00:00+11:00"],
    hours: 1.5,
  },
  {
    title: "an hour stretched over the half one that comes twice, first",
    unit: "hour",
    timeZone: "Australia/Lord_Howe",
    time: "2026-04-05T01:45:00+11:00",
    window: ["2026-04-05T01:00:00+11:00", "2026-04-05T02:00:00+10:30"],
    hours: 1.5,
  },
  {
    title: "an hour stretched over the half one that comes twice, again",
    unit: "hour",
    timeZone: "Australia/Lord_Howe",
    time: "2026-04-05T01:45:00+10:30",
    window: ["2026-04-05T01:00:00+11:00", "2026-04-05T02:00:00+10:30"],
    hours: 1.5,
  },
  {
    title: "an hour of an odd offset",
    unit: "hour",
    timeZone: "Asia/Kathmandu",
    time: "2026-06-01T12:00:00Z",
    window: ["2026-06-01T17:00:00+05:45", "2026-06-01T18:00:00+05:45"],
    hours: 1,
  },
  {
    title: "a day of an odd offset",
    unit: "day",
    timeZone: "Asia/Kathmandu",
    time: "2026-06-01T18:15:00Z",
    window: ["2026-06-02T00:00:00+05:45", "2026-06-03T00:00:00+05:45"],
    hours: 24,
  },
  {
    title: "February of a leap year",
    unit: "month",
    timeZone: "UTC",
    time: "2028-02-29T23:59:59.999Z",
    window: ["2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"],
    hours: 29 * 24,
  },
  {
    title: "February of no leap year",
    unit: "month",
    timeZone: "UTC",
    time: "2026-02-28T00:00:00Z",
    window: ["2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"],
    hours: 28 * 24,
  },
  {
    title: "February of a century that leaps",
    unit: "month",
    timeZone: "UTC",
    time: "2000-02-29T00:00:00Z",
    window: ["2000-02-01T00:00:00Z", "2000-03-01T00:00:00Z"],
    hours: 29 * 24,
  },
  {
    title: "February of a century that does not",
    unit: "month",
    timeZone: "UTC",
    time: "2100-02-28T12:00:00Z",
    window: ["2100-02-01T00:00:00Z", "2100-03-01T00:00:00Z"],
    hours: 28 * 24,
  },
  {
    title: "March of a century that does not",
    unit: "month",
    timeZone: "UTC",
    time: "2100-03-01T00:00:00Z",
    window: ["2100-03-01T00:00:00Z", "2100-04-01T00:00:00Z"],
    hours: 31 * 24,
  },
  {
    title: "the leap day",
    unit: "day",
    timeZone: "UTC",
    time: "2028-02-29T12:00:00Z",
    window: ["2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"],
    hours: 24,
  },
  {
    title: "a month of 30 days",
    unit: "month",
    timeZone: "Asia/Kathmandu",
    time: "2026-04-30T18:14:59.999Z",
    window: ["2026-04-01T00:00:00+05:45", "2026-05-01T00:00:00+05:45"],
    hours: 720,
  },
  {
    title: "a day whose midnight is skipped",
    unit: "day",
    timeZone: "Africa/Cairo",
    time: "2026-04-24T12:00:00+03:00",
    window: ["2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00"],
    hours: 23,
  },
  {
    title: "a day whose last hour comes twice",
    unit: "day",
    timeZone: "Africa/Cairo",
    time: "2026-10-29T23:30:00+02:00",
    window: ["2026-10-29T00:00:00+03:00", "2026-10-30T00:00:00+02:00"],
    hours: 25,
  },
  {
    title: "a new day although clocks at 0:01 went back to the old one",
    unit: "day",
    timeZone: "America/St_Johns",
    time: "2010-11-06T23:30:00-03:30",
    window: ["2010-11-07T00:00:00-02:30", "2010-11-08T00:00:00-03:30"],
    hours: 25,
  },
  {
    title: "the day before one that was skipped",
    unit: "day",
    timeZone: "Pacific/Apia",
    time: "2011-12-29T12:00:00-10:00",
    window: ["2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"],
    hours: 24,
  },
  {
    title: "the day after one that was skipped",
    unit: "day",
    timeZone: "Pacific/Apia",
    time: "2011-12-31T00:00:00+14:00",
    window: ["2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00"],
    hours: 24,
  },
  {
    title: "a minute",
    unit: "minute",
    timeZone: "Europe/Berlin",
    time: "2026-03-29T02:59:59.999Z",
    window: ["2026-03-29T02:59:00Z", "2026-03-29T03:00:00Z"],
    hours: 1 / 60,
  },
];

it.each(rows)("$timeZone, $unit: $title", ({ unit, timeZone, time, window, hours }) => {
  const [from, until] = window.map(at);
  // Far away first, so that it is not the row before that is remembered.
  windowAt({ kind: "calendar", unit, timeZone }, 0);
  const found = windowAt({ kind: "calendar", unit, timeZone }, at(time));
  expect(found).toEqual({ id: from, endsAt: until });
  expect((found.endsAt - found.id) / HOUR_MS).toBe(hours);
});

const ZONES = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "America/St_Johns",
  "America/Sao_Paulo",
  "America/Havana",
  "Africa/Cairo",
  "Africa/Casablanca",
  "Asia/Kathmandu",
  "Asia/Tehran",
  "Asia/Beirut",
  "Asia/Gaza",
  "Atlantic/Azores",
  "Antarctica/Troll",
  "Australia/Lord_Howe",
  "Pacific/Apia",
  "Pacific/Chatham",
  "Pacific/Kwajalein",
  "Pacific/Kiritimati",
];

const anyRule: fc.Arbitrary<WindowRule> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("fixed" as const), windowMs: fc.integer({ min: 1, max: 9_999_999 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("calendar" as const),
      unit: fc.constantFrom<CalendarUnit>("minute", "hour", "day", "week", "month"),
      timeZone: fc.constantFrom(...ZONES),
    }),
  },
);

/** Between 1970 and 2100, half of the time near a change of some zone's clocks. */
const anyTime = fc.oneof(
  fc.integer({ min: 0, max: at("2100-01-01T00:00:00Z") }),
  fc
    .tuple(
      fc.constantFrom(...rows.map(({ time }) => at(time))),
      fc.integer({ min: -3 * 24 * HOUR_MS, max: 3 * 24 * HOUR_MS }),
    )
    .map(([time, shift]) => time + shift),
);

describe("the windows of a rule tile time", () => {
  it("each instant lies in one window, which all of its instants have in common", () => {
    fc.assert(
      fc.property(anyRule, anyTime, fc.nat(), (rule, time, part) => {
        const window = windowAt(rule, time);
        expect(window.id).toBeLessThanOrEqual(time);
        expect(window.endsAt).toBeGreaterThan(time);
        const inside = window.id + (part % (window.endsAt - window.id));
        // Another window in between, so that nothing is answered from the one remembered.
        for (const instant of [window.id, inside, window.endsAt - 1]) {
          windowAt(rule, window.endsAt + 40 * 24 * HOUR_MS);
          expect(windowAt(rule, instant)).toEqual(window);
        }
      }),
      RUNS,
    );
  });

  it("and the next one begins where one ends", () => {
    fc.assert(
      fc.property(anyRule, anyTime, (rule, time) => {
        const window = windowAt(rule, time);
        expect(windowAt(rule, window.endsAt).id).toBe(window.endsAt);
        const before = windowAt(rule, window.id - 1);
        expect(before.endsAt).toBe(window.id);
      }),
      RUNS,
    );
  });

  it("and no hour is shorter than 60 minutes", () => {
    fc.assert(
      fc.property(fc.constantFrom(...ZONES), anyTime, (timeZone, time) => {
        const { id, endsAt } = windowAt({ kind: "calendar", unit: "hour", timeZone }, time);
        expect(endsAt - id).toBeGreaterThanOrEqual(HOUR_MS);
        expect(endsAt - id).toBeLessThan(2 * HOUR_MS);
      }),
      RUNS,
    );
  });

  it("and a date window begins when its date is first shown", () => {
    const shown = (timeZone: string, time: number) => {
      const format = new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
      return format.format(time);
    };
    fc.assert(
      fc.property(
        fc.constantFrom("day" as const, "month" as const),
        fc.constantFrom(...ZONES),
        anyTime,
        (unit, timeZone, time) => {
          const { id, endsAt } = windowAt({ kind: "calendar", unit, timeZone }, time);
          const length = unit === "day" ? 10 : 7;
          const date = shown(timeZone, id).slice(0, length);
          expect(shown(timeZone, id - 1).slice(0, length) < date).toBe(true);
          expect(shown(timeZone, endsAt).slice(0, length) > date).toBe(true);
          if (unit === "month") expect(shown(timeZone, id).slice(7)).toBe("-01");
        },
      ),
      { numRuns: 500 },
    );
  });
});

it("knows time zones by their IANA names", () => {
  expect(["UTC", "Europe/Berlin", "Asia/Kathmandu", "Mars/Olympus", ""].map(isTimeZone)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
});

it("reads offsets with seconds, as they were before 1972 in Liberia", () => {
  expect(offsetAt("Africa/Monrovia", 0)).toBe(-(44 * 60 + 30) * 1_000);
  expect(offsetAt("Asia/Kathmandu", at("2026-01-01T00:00:00Z"))).toBe((5 * 60 + 45) * 60_000);
  expect(offsetAt("UTC", 0)).toBe(0);
});
