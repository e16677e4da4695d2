import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LIMIT_DEFAULTS, problemsOf, routeOf } from "./documents.ts";

const PER_MINUTE = { requestsPerWindow: 60, window: "1m" };
const QUOTA = { algorithm: "fixed-window", requestsPerWindow: 60 };
const PERMITS = { algorithm: "concurrency", maxConcurrent: 20 };

function limitsOf(rateLimit: object): readonly object[] {
  return routeOf({ rateLimit }).rateLimits;
}

describe("a limit of each kind has its defaults", () => {
  const NAMED = { ...LIMIT_DEFAULTS, id: "route:/a", name: "route" };
  const SIXTY = { requestsPerWindow: 60, burst: 60, windowMs: 60_000 };
  it.each([
    ["token-bucket", { ...PER_MINUTE, algorithm: "token-bucket", burst: 5 }, { ...SIXTY, burst: 5 }],
    ["sliding-window", { ...PER_MINUTE, algorithm: "sliding-window" }, { ...SIXTY, algorithm: "sliding-window" }],
    [
      "approximate-sliding-window",
      { ...PER_MINUTE, algorithm: "approximate-sliding-window" },
      { ...SIXTY, algorithm: "approximate-sliding-window", mode: "strict" },
    ],
    ["fixed-window", { ...QUOTA, windowSeconds: 60 }, { ...SIXTY, algorithm: "fixed-window" }],
    [
      "concurrency",
      PERMITS,
      { algorithm: "concurrency", mode: "leased", requestsPerWindow: 20, burst: 20, maxConcurrent: 20, windowMs: 1000 },
    ],
  ])("%s", (_, written, differing) => {
    expect(limitsOf(written)).toEqual([{ ...NAMED, ...differing }]);
  });

  it.each([
    ["minute", 60_000],
    ["hour", 3_600_000],
    ["day", 86_400_000],
    ["week", 604_800_000],
    ["month", 2_678_400_000],
  ])("a quota for each %s of UTC", (unit, windowMs) => {
    expect(limitsOf({ ...QUOTA, calendar: unit })).toMatchObject([{ windowMs, calendar: { unit, timeZone: "UTC" } }]);
  });

  it("a quota by the clocks of another zone", () => {
    expect(limitsOf({ ...QUOTA, calendar: "day", timeZone: "Europe/Berlin" })).toMatchObject([
      { calendar: { unit: "day", timeZone: "Europe/Berlin" } },
    ]);
  });

  it.each([
    ["settle", { settle: { header: "x-used" } }],
    ["countWhen", { countWhen: 401 }],
  ])("one with %s is decided by its owner each time", (_, fields) => {
    expect(limitsOf({ ...PER_MINUTE, ...fields })).toMatchObject([{ mode: "strict" }]);
  });

  it.each([
    ["principal", "own"],
    ["consumer", "own"],
    ["claim:tenant", "own"],
    [["consumer", "claim:tenant"], "own"],
    ["ip", "pooled"],
    ["header:x-api-key", "pooled"],
    ["cookie:sid", "pooled"],
    [["principal", "ip"], "pooled"],
    ["all", "pooled"],
  ])("clients told apart by %j are %s", (by, clients) => {
    expect(limitsOf({ ...PER_MINUTE, by })).toMatchObject([{ clients }]);
    expect(limitsOf({ ...PER_MINUTE, by, clients: "own" })).toMatchObject([{ clients: "own" }]);
  });
});

const NEEDS_FIXED = 'nothing: a calendar needs "algorithm": "fixed-window"';
const NEEDS_PERMITS = 'nothing: "maxConcurrent" needs "algorithm": "concurrency"';
const IN_FLIGHT = 'nothing: "concurrency" counts requests in flight, and has no window';
const ONE_EACH = 'nothing: "concurrency" counts each request in flight as one';
const AT_ONCE =
  'nothing: a window lets all of "requestsPerWindow" through at once; for a smaller burst take "token-bucket"';

const SOME_COUNT =
  'nothing beside "countWhen" or "countCacheHits": every request is an attempt, so clients whose requests do not count would be banned';
const OWNER_DECIDES =
  '"strict" or nothing: with "settle", "countWhen" and "countCacheHits" the owner decides about each request';
const EVERYBODY = 'nothing with "by" "all" or "route" alone: one client could have everybody banned';

describe("what cannot be had together is refused", () => {
  it.each<[object, string, string, string]>([
    [{ ...PER_MINUTE, maxConcurrent: 5 }, "maxConcurrent", "5", NEEDS_PERMITS],
    [{ ...PER_MINUTE, algorithm: "sliding-window", maxConcurrent: 5 }, "maxConcurrent", "5", NEEDS_PERMITS],
    [{ ...PER_MINUTE, algorithm: "approximate-sliding-window", maxConcurrent: 5 }, "maxConcurrent", "5", NEEDS_PERMITS],
    [{ ...PER_MINUTE, algorithm: "fixed-window", maxConcurrent: 5 }, "maxConcurrent", "5", NEEDS_PERMITS],
    [{ ...PER_MINUTE, algorithm: "sliding-window", burst: 5 }, "burst", "5", AT_ONCE],
    [{ ...PER_MINUTE, algorithm: "approximate-sliding-window", burst: 5 }, "burst", "5", AT_ONCE],
    [{ ...PER_MINUTE, algorithm: "fixed-window", burst: 5 }, "burst", "5", AT_ONCE],
    [{ ...PER_MINUTE, calendar: "day" }, "calendar", '"day"', NEEDS_FIXED],
    [{ ...PER_MINUTE, timeZone: "UTC" }, "timeZone", '"UTC"', NEEDS_FIXED],
    [{ ...PER_MINUTE, algorithm: "sliding-window", calendar: "day" }, "calendar", '"day"', NEEDS_FIXED],
    [{ ...PER_MINUTE, algorithm: "sliding-window", timeZone: "UTC" }, "timeZone", '"UTC"', NEEDS_FIXED],
    [{ ...PER_MINUTE, algorithm: "approximate-sliding-window", calendar: "day" }, "calendar", '"day"', NEEDS_FIXED],
    [{ ...PER_MINUTE, algorithm: "approximate-sliding-window", timeZone: "UTC" }, "timeZone", '"UTC"', NEEDS_FIXED],
    [
      { ...QUOTA, window: "1d", calendar: "day" },
      "calendar",
      '"day"',
      'exactly one of "windowSeconds", "window" and "calendar"',
    ],
    [QUOTA, "windowSeconds", "nothing", 'exactly one of "windowSeconds", "window" and "calendar"'],
    [
      { ...QUOTA, window: "1d", timeZone: "UTC" },
      "timeZone",
      '"UTC"',
      'nothing without "calendar": a window of a fixed length is the same everywhere',
    ],
    [{ ...PERMITS, requestsPerWindow: 5 }, "requestsPerWindow", "5", 'nothing: "maxConcurrent" says how many at once'],
    [{ ...PERMITS, windowSeconds: 5 }, "windowSeconds", "5", IN_FLIGHT],
    [{ ...PERMITS, window: "5s" }, "window", '"5s"', IN_FLIGHT],
    [{ ...PERMITS, burst: 5 }, "burst", "5", IN_FLIGHT],
    [{ ...PERMITS, calendar: "day" }, "calendar", '"day"', IN_FLIGHT],
    [{ ...PERMITS, timeZone: "UTC" }, "timeZone", '"UTC"', IN_FLIGHT],
    [{ ...PERMITS, ban: true }, "ban", "true", IN_FLIGHT],
    [{ ...PERMITS, cost: 2 }, "cost", "2", ONE_EACH],
    [{ ...PERMITS, settle: { bytesPerToken: 1 } }, "settle", "an object with bytesPerToken", ONE_EACH],
    [{ ...PERMITS, maxDebt: 2 }, "maxDebt", "2", ONE_EACH],
    [{ ...PERMITS, countWhen: 401 }, "countWhen", "401", ONE_EACH],
    [{ ...PERMITS, countCacheHits: false }, "countCacheHits", "false", ONE_EACH],
    [
      { ...PERMITS, mode: "strict" },
      "mode",
      '"strict"',
      '"leased" or nothing: permits are always lent, and never more than "maxConcurrent" of them',
    ],
    [{ algorithm: "concurrency" }, "maxConcurrent", "nothing", "a whole number, at least 1: the field is required"],
    [
      { ...PER_MINUTE, algorithm: "approximate-sliding-window", mode: "leased" },
      "mode",
      '"leased"',
      '"strict" or nothing: an approximate window cannot be lent; for leases take "sliding-window"',
    ],
    [{ ...PER_MINUTE, settle: { header: "x-used" }, mode: "leased" }, "mode", '"leased"', OWNER_DECIDES],
    [{ ...PER_MINUTE, countWhen: "4xx", mode: "leased" }, "mode", '"leased"', OWNER_DECIDES],
    [{ ...PER_MINUTE, countCacheHits: false, mode: "leased" }, "mode", '"leased"', OWNER_DECIDES],
    [
      { ...PER_MINUTE, maxDebt: 5 },
      "maxDebt",
      "5",
      'nothing without "settle": only costs that are known afterwards make debts',
    ],
    [
      { ...PER_MINUTE, cost: 0 },
      "cost",
      "0",
      'more than 0, or "settle" beside it: a limit that costs nothing never refuses',
    ],
    [{ ...PER_MINUTE, ban: true, countWhen: 401 }, "ban", "true", SOME_COUNT],
    [{ ...PER_MINUTE, ban: true, countCacheHits: false }, "ban", "true", SOME_COUNT],
    [{ ...PER_MINUTE, by: "all", ban: {} }, "ban", "an empty object", EVERYBODY],
    [{ ...PER_MINUTE, by: "route", ban: {} }, "ban", "an empty object", EVERYBODY],
    [
      { ...PER_MINUTE, requestsPerWindow: 9, ban: true },
      "ban",
      "true",
      'a limit of at least 10 "requestsPerWindow": below it nobody is ever banned, since one reload of a page would do it',
    ],
  ])("%j", (rateLimit, field, got, wanted) => {
    expect(problemsOf({ rateLimit })).toEqual([{ path: `rateLimit.${field}`, got, wanted }]);
  });

  it.each([
    { ...PER_MINUTE, by: "all", ban: false },
    { ...PER_MINUTE, by: "all", ban: { enabled: false } },
    { ...PER_MINUTE, by: ["route", "ip"], ban: true },
    { ...PER_MINUTE, cost: 0, settle: { bytesPerToken: 1 } },
    { ...QUOTA, window: "1d", mode: "leased" },
    { ...PERMITS, mode: "leased", by: "principal", shadow: true, exempt: { cidrs: ["10.0.0.0/8"] } },
    { enabled: false, algorithm: "fixed-window" },
    { enabled: false, algorithm: "concurrency" },
  ])("but not %j", (rateLimit) => {
    expect(problemsOf({ rateLimit })).toEqual([]);
  });

  it("and all of it is said at once", () => {
    const rateLimit = { ...PERMITS, requestsPerWindow: 5, window: "1s", cost: 2, mode: "strict" };
    expect(problemsOf({ rateLimit }).map(({ path }) => path)).toEqual([
      "rateLimit.requestsPerWindow",
      "rateLimit.window",
      "rateLimit.cost",
      "rateLimit.mode",
    ]);
  });
});

describe("a time zone", () => {
  const WANTED = 'an IANA time zone that the runtime knows, such as "Europe/Berlin" or "UTC"';
  it.each(["UTC", "Etc/UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kolkata", "Pacific/Apia"])(
    "may be %s",
    (timeZone) => {
      expect(problemsOf({ rateLimit: { ...QUOTA, calendar: "day", timeZone } })).toEqual([]);
    },
  );

  it.each(["", "Europe/Atlantis", "+01:00", "-0500", "1", "Europe/Berlin ", "constructor"])(
    "may not be %j",
    (timeZone) => {
      const got = JSON.stringify(timeZone);
      const problem = { path: "rateLimit.timeZone", got, wanted: WANTED };
      expect(problemsOf({ rateLimit: { ...QUOTA, calendar: "day", timeZone } })).toEqual([problem]);
    },
  );
});

describe("numbers that could not be counted exactly are refused", () => {
  const MOST = 2 ** 53;
  const WINDOW = 2 ** 20;
  const window = `${WINDOW}ms`;
  it.each([
    [{ algorithm: "token-bucket", window }, MOST / WINDOW, "burst"],
    [{ algorithm: "approximate-sliding-window", window }, MOST / WINDOW, "requestsPerWindow"],
    [{ algorithm: "token-bucket", window, cost: 0.5 }, Math.floor(MOST / WINDOW / 1000), "burst"],
    [{ algorithm: "sliding-window", window, cost: 0.25 }, Math.floor(MOST / 1000), "requestsPerWindow"],
    [{ algorithm: "fixed-window", calendar: "month", cost: 0.125 }, Math.floor(MOST / 1000), "requestsPerWindow"],
  ])("%j with more than %i", (limit, most, field) => {
    expect(problemsOf({ rateLimit: { ...limit, requestsPerWindow: most } })).toEqual([]);
    expect(problemsOf({ rateLimit: { ...limit, requestsPerWindow: most + 1 } }).map(({ path }) => path)).toEqual([
      `rateLimit.${field}`,
    ]);
  });

  it("a rate that is not a whole number of units", () => {
    const rateLimit = { requestsPerWindow: Math.floor(MOST / 1000) + 1, window: "1ms", burst: 10, cost: 0.5 };
    expect(problemsOf({ rateLimit })).toEqual([
      {
        path: "rateLimit.requestsPerWindow",
        got: String(rateLimit.requestsPerWindow),
        wanted: "at most 2^53 for requestsPerWindow times 1000 (for the decimal places of the costs)",
      },
    ]);
  });

  it.each(["token-bucket", "sliding-window", "approximate-sliding-window", "fixed-window"])(
    "a %s with every whole number that there is, but not with more debt than is left",
    (algorithm) => {
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: MOST / WINDOW }),
          fc.integer({ min: 0, max: MOST / WINDOW }),
          (burst, debt) => {
            const limit = { algorithm, window, requestsPerWindow: burst, settle: { bytesPerToken: 1 }, maxDebt: debt };
            const isWindowed = algorithm === "sliding-window" || algorithm === "fixed-window";
            const fits = isWindowed || burst + debt <= MOST / WINDOW;
            expect(problemsOf({ rateLimit: limit }).map(({ path }) => path)).toEqual(fits ? [] : ["rateLimit.maxDebt"]);
          },
        ),
      );
    },
  );
});
