import { describe, expect, it } from "vitest";
import { ROUTE, configOf, problemsOf, routeOf, warningsOf } from "./documents.ts";

const PER_MINUTE = { requestsPerWindow: 60, window: "1m" };

function limitsOf(rateLimit: object): readonly object[] {
  return routeOf({ rateLimit }).rateLimits;
}

describe("a cost", () => {
  it.each([
    [2.5, { cost: { kind: "static", cost: 2.5 }, unitsPerToken: 1000 }],
    [
      { header: "X-Cost" },
      { cost: { kind: "header", name: "x-cost", min: 1, max: 60, otherwise: 1 }, unitsPerToken: 1 },
    ],
    [
      { header: "X-Cost", min: 0.5, max: 10, otherwise: 2 },
      { cost: { kind: "header", name: "x-cost", min: 0.5, max: 10, otherwise: 2 }, unitsPerToken: 1000 },
    ],
    [{ header: "X-Cost", min: 3 }, { cost: { kind: "header", name: "x-cost", min: 3, max: 60, otherwise: 3 } }],
    [
      { header: "X-Cost", max: 0.25 },
      { cost: { kind: "header", name: "x-cost", min: 0.25, max: 0.25, otherwise: 0.25 }, unitsPerToken: 1000 },
    ],
    [
      { paths: { "/search": 10, "/%7efiles/": 0.5 }, otherwise: 2 },
      {
        cost: {
          kind: "paths",
          costs: [
            { prefix: "/search", cost: 10 },
            { prefix: "/~files/", cost: 0.5 },
          ],
          otherwise: 2,
        },
        unitsPerToken: 1000,
      },
    ],
    [{ paths: {} }, { cost: { kind: "paths", costs: [], otherwise: 1 } }],
  ])("written %j", (cost, expected) => {
    expect(limitsOf({ ...PER_MINUTE, cost })).toMatchObject([expected]);
  });

  const NUMBER = "a number from 0 to 999999999 with at most 3 decimal places";
  const TOO_DEAR = "costs of at most 60, the most that the limit ever holds: what costs more is always refused";
  it.each([
    ["2", "cost", '"2"', 'a number, or an object with "header" or "paths"'],
    [-1, "cost", "-1", NUMBER],
    [0.0001, "cost", "0.0001", NUMBER],
    [1e-7, "cost", "1e-7", NUMBER],
    [61, "cost", "61", TOO_DEAR],
    [{}, "cost", "an empty object", 'an object with exactly one of "header" and "paths"'],
    [
      { header: "x-cost", paths: {} },
      "cost",
      "an object with header, paths",
      'an object with exactly one of "header" and "paths"',
    ],
    [
      { paths: {}, max: 5 },
      "cost",
      "an object with paths, max",
      '"min" and "max" beside "header" alone: what a path costs is written here, and nobody else has a say',
    ],
    [
      { header: "x-cost", min: 5, max: 4 },
      "cost",
      "an object with header, min, max",
      '"min" at most "otherwise", and "otherwise" at most "max"',
    ],
    [
      { header: "x-cost", min: 2, otherwise: 1 },
      "cost",
      "an object with header, min, otherwise",
      '"min" at most "otherwise", and "otherwise" at most "max"',
    ],
    [{ header: "x-cost", min: 61, max: 100 }, "cost", "an object with header, min, max", TOO_DEAR],
    [{ header: "x cost" }, "cost.header", '"x cost"', 'the name of a header, such as "x-api-key"'],
    [{ paths: { search: 1 } }, "cost.paths.search", 'the key "search"', 'a path that starts with "/"'],
    [{ paths: { "/a": 61 } }, "cost", "an object with paths", TOO_DEAR],
    [{ paths: { "/a": -1 } }, 'cost.paths["/a"]', "-1", NUMBER],
    [
      { paths: {}, price: 1 },
      "cost.price",
      'the key "price"',
      "a known key, one of: header, min, max, paths, otherwise",
    ],
  ])("is refused when it is %j", (cost, field, got, wanted) => {
    expect(problemsOf({ rateLimit: { ...PER_MINUTE, cost } })).toEqual([{ path: `rateLimit.${field}`, got, wanted }]);
  });
});

describe("settle", () => {
  it.each([
    [
      { settle: { header: "X-Used" } },
      { settle: { kind: "header", name: "x-used", max: 120, strip: false }, maxDebt: 60 },
    ],
    [
      { settle: { header: "X-Used", max: 500, strip: true }, maxDebt: 0 },
      { settle: { kind: "header", name: "x-used", max: 500, strip: true }, maxDebt: 0 },
    ],
    [{ settle: { bytesPerToken: "1KiB" } }, { settle: { kind: "bytes", bytesPerToken: 1024 }, maxDebt: 60 }],
    [{}, { settle: undefined, maxDebt: 0 }],
  ])("written %j", (fields, expected) => {
    expect(limitsOf({ ...PER_MINUTE, ...fields })).toMatchObject([expected]);
  });

  it("allows no more debt than can be counted exactly", () => {
    const most = 2 ** 53 / 2 ** 20;
    const limit = { requestsPerWindow: most - 5, window: `${2 ** 20}ms`, settle: { bytesPerToken: 1 } };
    expect(limitsOf(limit)).toMatchObject([{ maxDebt: 5 }]);
    expect(problemsOf({ rateLimit: { ...limit, maxDebt: 6 } })).toEqual([
      {
        path: "rateLimit.maxDebt",
        got: "6",
        wanted: "at most 5, so that debts are counted exactly (2^53 in all); shorten the window or lower the debt",
      },
    ]);
  });

  const ONE = 'an object with exactly one of "header" and "bytesPerToken"';
  it.each([
    [{}, "settle", "an empty object", ONE],
    [{ header: "x-used", bytesPerToken: 1 }, "settle", "an object with header, bytesPerToken", ONE],
    [
      { bytesPerToken: 1, strip: true },
      "settle",
      "an object with bytesPerToken, strip",
      '"max" and "strip" beside "header" alone',
    ],
    [
      { bytesPerToken: 0 },
      "settle.bytesPerToken",
      "0",
      'a size such as "64KiB", "2MB", "10MiB" or a whole number of bytes, at least 1',
    ],
    [true, "settle", "true", "an object"],
  ])("is refused when it is %j", (settle, field, got, wanted) => {
    expect(problemsOf({ rateLimit: { ...PER_MINUTE, settle } })).toEqual([{ path: `rateLimit.${field}`, got, wanted }]);
  });
});

describe("countWhen", () => {
  const range = (from: number, to: number = from) => ({ from, to });
  it.each([
    [401, { statuses: [range(401)], gatewayErrors: false }],
    ["4xx", { statuses: [range(400, 499)], gatewayErrors: false }],
    [[401, "5xx"], { statuses: [range(401), range(500, 599)], gatewayErrors: false }],
    [{ statuses: [401] }, { statuses: [range(401)], gatewayErrors: false }],
    [
      { statuses: ["2xx"], gatewayErrors: true },
      { statuses: [range(200, 299)], gatewayErrors: true },
    ],
  ])("written %j", (countWhen, expected) => {
    expect(limitsOf({ ...PER_MINUTE, countWhen })).toMatchObject([{ countWhen: expected }]);
  });

  const STATUS = 'a status from 200 to 599 or a class such as "4xx"';
  const WANTED = `${STATUS}, an array of these, or an object with "statuses"`;
  it.each([
    [199, "199"],
    [600, "600"],
    [401.5, "401.5"],
    ["1xx", '"1xx"'],
    ["401", '"401"'],
    ["4XX", '"4XX"'],
    [[], "an empty array"],
    [true, "true"],
  ])("is refused when it is %j", (countWhen, got) => {
    expect(problemsOf({ rateLimit: { ...PER_MINUTE, countWhen } })).toEqual([
      { path: "rateLimit.countWhen", got, wanted: WANTED },
    ]);
  });

  it.each([
    [[401, 7], "countWhen[1]", "7", STATUS],
    [{ statuses: [] }, "countWhen.statuses", "an empty array", `an array: ${STATUS}, at least one`],
    [{ statuses: ["x"] }, "countWhen.statuses[0]", '"x"', STATUS],
    [{ gatewayErrors: true }, "countWhen.statuses", "nothing", "a value: the field is required"],
    [{ statuses: [401], only: 1 }, "countWhen.only", 'the key "only"', "a known key, one of: statuses, gatewayErrors"],
  ])("is refused where it is wrong, as in %j", (countWhen, field, got, wanted) => {
    expect(problemsOf({ rateLimit: { ...PER_MINUTE, countWhen } })).toEqual([
      { path: `rateLimit.${field}`, got, wanted },
    ]);
  });
});

describe("a ban", () => {
  const DAY = 86_400_000;
  const DEFAULT = { factor: 5, durationsMs: [DAY], rememberMs: DAY, exemptPrincipals: [] };
  it.each([
    [true, DEFAULT],
    [{}, DEFAULT],
    [
      { enabled: true, factor: 10 },
      { ...DEFAULT, factor: 10 },
    ],
    [{ for: "1h" }, { ...DEFAULT, durationsMs: [3_600_000] }],
    [
      { for: ["5m", "1h", "24h"], rememberFor: "7d", exemptPrincipals: ["key:ops"] },
      { ...DEFAULT, durationsMs: [300_000, 3_600_000, DAY], rememberMs: 7 * DAY, exemptPrincipals: ["key:ops"] },
    ],
    [false, undefined],
    [{ enabled: false, factor: 10 }, undefined],
  ])("written %j", (ban, expected) => {
    expect(limitsOf({ ...PER_MINUTE, ban })).toMatchObject([{ ban: expected }]);
  });

  const LENGTH = 'a duration such as "500ms", "30s", "5m", "1h" or "1d", from 1s to 366d';
  it.each([
    [{ factor: 1 }, "ban.factor", "1", "a number from 2 to 1000 with at most 3 decimal places"],
    [
      { for: "500ms" },
      "ban.for",
      '"500ms"',
      'a duration such as "24h", or an array of them: the first ban, the next, ...',
    ],
    [
      { for: [] },
      "ban.for",
      "an empty array",
      'a duration such as "24h", or an array of them: the first ban, the next, ...',
    ],
    [{ for: ["1h", "1ms"] }, "ban.for[1]", '"1ms"', LENGTH],
    [{ rememberFor: 5 }, "ban.rememberFor", "5", LENGTH],
    [{ exemptPrincipals: [""] }, "ban.exemptPrincipals[0]", '""', "a principal's name, 1 to 256 characters"],
    ["24h", "ban", '"24h"', 'true, false, or an object with "factor", "for", "rememberFor" or "exemptPrincipals"'],
  ])("is refused when it is %j", (ban, field, got, wanted) => {
    expect(problemsOf({ rateLimit: { ...PER_MINUTE, ban } })).toEqual([{ path: `rateLimit.${field}`, got, wanted }]);
  });
});

describe("exempt", () => {
  const BLOCK = 'a CIDR block such as "10.0.0.0/8" or "2001:db8::/32", or a single address';
  const NOBODY = 'at least one of "cidrs" and "principals", with something in it';
  it("is a list of blocks and names", () => {
    const exempt = { cidrs: ["10.0.0.0/8", "2001:db8::1"], principals: ["key:ops"] };
    expect(limitsOf({ ...PER_MINUTE, exempt })).toMatchObject([{ exempt }]);
  });

  it.each([
    [{}, "exempt", "an empty object", NOBODY],
    [{ cidrs: [] }, "exempt", "an object with cidrs", NOBODY],
    [{ cidrs: ["10.0.0.0/33"] }, "exempt.cidrs[0]", '"10.0.0.0/33"', BLOCK],
    [{ cidrs: ["localhost"] }, "exempt.cidrs[0]", '"localhost"', BLOCK],
    [
      { cidrs: ["0.0.0.0/0"] },
      "exempt.cidrs[0]",
      '"0.0.0.0/0"',
      "a block of known clients: this one holds every address; remove the limit instead",
    ],
    [{ principals: [""] }, "exempt.principals[0]", '""', "a principal's name, 1 to 256 characters"],
  ])("is refused when it is %j", (exempt, field, got, wanted) => {
    expect(problemsOf({ rateLimit: { ...PER_MINUTE, exempt } })).toEqual([{ path: `rateLimit.${field}`, got, wanted }]);
  });
});

describe("a route's multiplier", () => {
  it("holds under the limits of the top level, which count in one unit on all routes", () => {
    const { routes } = configOf({
      rateLimit: { ...PER_MINUTE, cost: 0.5 },
      routes: [
        { ...ROUTE, rateLimitMultiplier: 2 },
        { ...ROUTE, prefix: "/b", rateLimitMultiplier: 0.25 },
        { ...ROUTE, prefix: "/c" },
        { ...ROUTE, prefix: "/d", rateLimit: PER_MINUTE },
      ],
    });
    expect(routes.map(({ rateLimits: [limit] }) => [limit?.multiplier, limit?.unitsPerToken])).toEqual([
      [2, 1000],
      [0.25, 1000],
      [1, 1000],
      [1, 1],
    ]);
  });

  it("with decimals makes another counter, since what was counted means something else", () => {
    const idsOf = (multiplier: number) =>
      routeOf({ rateLimitMultiplier: multiplier }, { rateLimit: PER_MINUTE }).rateLimits.map(({ id }) => id);
    expect([idsOf(2), idsOf(0.5), idsOf(0.125)]).toEqual([["default"], ["default/1000"], ["default/1000"]]);
  });

  it("means nothing to permits", () => {
    const rateLimit = { algorithm: "concurrency", maxConcurrent: 5 };
    expect(routeOf({ rateLimitMultiplier: 2.5 }, { rateLimit }).rateLimits).toMatchObject([
      { multiplier: 1, unitsPerToken: 1 },
    ]);
  });

  const NUMBER = "a number from 0.001 to 1000000 with at most 3 decimal places";
  const OWN = `nothing beside limits of the route's own: say there what a request costs, in "cost"`;
  it.each([
    [{ rateLimitMultiplier: 0 }, "0", NUMBER],
    [{ rateLimitMultiplier: -1 }, "-1", NUMBER],
    [{ rateLimitMultiplier: 0.0001 }, "0.0001", NUMBER],
    [{ rateLimitMultiplier: "2" }, '"2"', NUMBER],
    [{ rateLimitMultiplier: 2, rateLimit: PER_MINUTE }, "2", OWN],
    [{ rateLimitMultiplier: 2, rateLimit: false }, "2", OWN],
    [{ rateLimitMultiplier: 2, rateLimits: [] }, "2", OWN],
    [
      { rateLimitMultiplier: 61 },
      "61",
      "a multiplier with which the shared limit has costs of at most 60, the most that the limit ever holds: what costs more is always refused (limit default)",
    ],
  ])("is refused in %j", (fields, got, wanted) => {
    const document = { rateLimit: PER_MINUTE, routes: [{ ...ROUTE, ...fields }] };
    expect(problemsOf(document)).toEqual([{ path: "routes[0].rateLimitMultiplier", got, wanted }]);
  });

  it("may use up all that a limit holds, in decimals too", () => {
    const document = {
      rateLimit: { ...PER_MINUTE, burst: 11, cost: 10 },
      routes: [{ ...ROUTE, rateLimitMultiplier: 1.1 }],
    };
    expect(problemsOf(document)).toEqual([]);
  });

  it("is refused when its places cannot be counted exactly", () => {
    const rateLimit = { requestsPerWindow: 2 ** 53 / 2 ** 20, window: `${2 ** 20}ms` };
    const problems = problemsOf({ rateLimit, routes: [{ ...ROUTE, rateLimitMultiplier: 1.5 }] });
    expect(problems.map(({ path }) => path)).toEqual(["routes[0].rateLimitMultiplier"]);
  });

  it("without a limit at the top level is worth a warning", () => {
    const warnings = warningsOf({ routes: [{ ...ROUTE, rateLimitMultiplier: 2 }] });
    expect(warnings).toEqual([
      { path: "routes[0].rateLimitMultiplier", message: "there is no limit at the top level to share" },
    ]);
  });
});
