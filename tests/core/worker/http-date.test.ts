import fc from "fast-check";
import { expect, it } from "vitest";
import { formatHttpDate, parseHttpDate } from "../../../worker/http-date.ts";
import { NOW } from "../cache/fixtures.ts";

const AT = Date.UTC(2050, 7, 18, 2, 1, 18);

it.each([
  ["Thu, 18 Aug 2050 02:01:18 GMT", AT],
  ["THU, 18 AUG 2050 02:01:18 gmt", AT],
  ["Thursday, 18-Aug-50 02:01:18 GMT", AT],
  ["Thu Aug 18 02:01:18 2050", AT],
  ["Mon Aug  8 02:01:18 2050", Date.UTC(2050, 7, 8, 2, 1, 18)],
  ["Sunday, 06-Nov-94 08:49:37 GMT", Date.UTC(1994, 10, 6, 8, 49, 37)],
  ["Sat, 29 Feb 2020 00:00:00 GMT", Date.UTC(2020, 1, 29)],
  ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
  ["Fri, 31 Dec 1999 23:59:60 GMT", Date.UTC(2000, 0, 1)],
])("reads %s", (text, expected) => {
  expect(parseHttpDate(text, NOW)).toBe(expected);
});

it.each([
  ["", "nothing"],
  ["0", "a number"],
  ["-1", "a negative number"],
  ["Thu, 18 Aug 2050 02:01:18 UTC", "another zone"],
  ["Thu, 18 Aug 2050 02:01:18 +0000", "an offset"],
  ["Thu, 18 Aug 50 02:01:18 GMT", "a year of two digits"],
  ["Thu 18 Aug 2050 02:01:18 GMT", "no comma"],
  ["Thu, 18  Aug  2050 02:01:18 GMT", "two spaces"],
  ["Thu, 18-Aug-2050 02:01:18 GMT", "dashes and a long year"],
  ["Thu, 18 Aug 2050 02.01.18 GMT", "dots"],
  ["Thu, 18 Aug 2050 2:01:18 GMT", "an hour of one digit"],
  ["Thu, 8 Aug 2050 02:01:18 GMT", "a day of one digit"],
  ["Thu, 31 Feb 2050 02:01:18 GMT", "a day that doesn't exist"],
  ["Fri, 29 Feb 2019 00:00:00 GMT", "a leap day of another year"],
  ["Thu, 18 Aug 2050 24:01:18 GMT", "an hour that doesn't exist"],
  ["Thu, 18 Abc 2050 02:01:18 GMT", "a month that doesn't exist"],
  ["Abc, 18 Aug 2050 02:01:18 GMT", "a weekday that doesn't exist"],
  ["Thu, 18 Aug 2050 02:01:18 GMT, Thu, 18 Aug 2050 02:01:18 GMT", "two"],
  ["2050-08-18T02:01:18Z", "ISO 8601"],
])("takes %j for no date: %s", (text) => {
  expect(parseHttpDate(text, NOW)).toBeUndefined();
});

it("reads every second of four centuries as JavaScript writes it, and writes it so", () => {
  const seconds = fc.integer({ min: Date.UTC(1800, 0) / 1_000, max: Date.UTC(2200, 0) / 1_000 });
  fc.assert(
    fc.property(seconds, (second) => {
      const text = new Date(second * 1_000).toUTCString();
      expect(parseHttpDate(text, NOW)).toBe(second * 1_000);
      expect(formatHttpDate(second * 1_000)).toBe(text);
    }),
    { numRuns: 2_000 },
  );
});
