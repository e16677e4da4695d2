import { describe, expect, it } from "vitest";
import { LIMIT_DEFAULTS, ROUTE, configOf, problemsOf, routeOf, warningsOf } from "./documents.ts";

const PER_MINUTE = { requestsPerWindow: 60, window: "1m" } as const;

function limitsOf(fields: object, topLevel: object = {}): readonly object[] {
  return routeOf(fields, topLevel).rateLimits;
}

describe("rateLimit", () => {
  it("has a default for everything but how many and how long", () => {
    expect(limitsOf({ rateLimit: PER_MINUTE })).toEqual([
      {
        id: "route:/a",
        name: "route",
        requestsPerWindow: 60,
        windowMs: 60_000,
        burst: 60,
        ...LIMIT_DEFAULTS,
      },
    ]);
  });

  it("takes every field", () => {
    const rateLimit = {
      enabled: true,
      name: "partners",
      requestsPerWindow: 100,
      windowSeconds: 0.5,
      burst: 7,
      by: ["ip", "header:X-Api-Key", "route"],
      mode: "leased",
      algorithm: "token-bucket",
      onError: "closed",
      clients: "own",
      shadow: true,
      legacyHeaders: true,
      deadline: "80ms",
    };
    expect(limitsOf({ id: "orders", rateLimit })).toEqual([
      {
        id: "route:orders",
        name: "partners",
        requestsPerWindow: 100,
        windowMs: 500,
        burst: 7,
        ...LIMIT_DEFAULTS,
        by: [{ kind: "ip" }, { kind: "header", name: "x-api-key" }, { kind: "route" }],
        onError: "closed",
        clients: "own",
        shadow: true,
        legacyHeaders: true,
        deadlineMs: 80,
      },
    ]);
  });

  it("of the top level is one counter for all routes without their own", () => {
    const { routes } = configOf({
      rateLimit: PER_MINUTE,
      routes: [
        ROUTE,
        { ...ROUTE, prefix: "/b" },
        { ...ROUTE, prefix: "/c", rateLimit: PER_MINUTE },
        { ...ROUTE, prefix: "/d", rateLimit: false },
      ],
    });
    expect(routes.map(({ rateLimits }) => rateLimits.map(({ id }) => id))).toEqual([
      ["default"],
      ["default"],
      ["route:/c"],
      [],
    ]);
  });

  it("may be several, each with its own counter", () => {
    const rateLimits = [
      { ...PER_MINUTE, name: "minute" },
      { ...PER_MINUTE, name: "off", enabled: false },
      { ...PER_MINUTE, name: "day", window: "1d" },
    ];
    expect(limitsOf({ rateLimits })).toMatchObject([
      { id: "route:/a:minute", name: "minute", windowMs: 60_000 },
      { id: "route:/a:day", name: "day", windowMs: 86_400_000 },
    ]);
    expect(limitsOf({}, { rateLimits }).map((limit) => ("id" in limit ? limit.id : ""))).toEqual([
      "default:minute",
      "default:day",
    ]);
    expect(limitsOf({ rateLimits: false }, { rateLimits })).toEqual([]);
    expect(limitsOf({ rateLimits: [] }, { rateLimit: PER_MINUTE })).toEqual([]);
  });

  it("is told where several go when it is a list", () => {
    expect(problemsOf({ rateLimit: [{ ...PER_MINUTE, name: "a" }] })).toEqual([
      {
        path: "rateLimit",
        got: "an array of 1",
        wanted: 'an object, or false to remove the policy; several limits go into "rateLimits"',
      },
    ]);
  });

  it("needs nothing else when it is switched off", () => {
    expect(limitsOf({ rateLimit: { enabled: false } }, { rateLimit: PER_MINUTE })).toEqual([]);
  });

  it("takes what nobody is identified by yet, with a warning", () => {
    const document = {
      rateLimit: {
        ...PER_MINUTE,
        by: ["principal", "claim:tenant"],
        exempt: { principals: ["key:ops"] },
        ban: { exemptPrincipals: ["*"] },
      },
      routes: [{ ...ROUTE, rateLimits: [{ ...PER_MINUTE, name: "a", by: "consumer" }] }],
    };
    expect(warningsOf(document)).toEqual([
      {
        path: "rateLimit.by",
        message:
          "nothing identifies clients yet: until authentication acts, principal and claim:tenant means the address",
      },
      {
        path: "rateLimit.exempt.principals",
        message: "nothing identifies clients yet: until authentication acts, nobody is exempt by name",
      },
      {
        path: "rateLimit.ban.exemptPrincipals",
        message: "nothing identifies clients yet: until authentication acts, bans spare nobody",
      },
      {
        path: "routes[0].rateLimits[0].by",
        message: "nothing identifies clients yet: until authentication acts, consumer means the address",
      },
    ]);
  });

  it.each([
    ["ip", [{ kind: "ip" }]],
    ["all", [{ kind: "all" }]],
    ["route", [{ kind: "route" }]],
    ["header:X-Api-Key", [{ kind: "header", name: "x-api-key" }]],
    ["cookie:SID", [{ kind: "cookie", name: "SID" }]],
    ["principal", [{ kind: "principal" }]],
    ["consumer", [{ kind: "consumer" }]],
    ["claim:https://example.com/tenant", [{ kind: "claim", name: "https://example.com/tenant" }]],
    [
      ["route", "ip"],
      [{ kind: "route" }, { kind: "ip" }],
    ],
  ])("counts by %j", (by, keys) => {
    expect(limitsOf({ rateLimit: { ...PER_MINUTE, by } })).toMatchObject([{ by: keys }]);
  });
});

const ADDRESS =
  '"ip", with "clientIp" saying where the address comes from: any client can write this header, and so choose its bucket';
const KEY =
  '"ip", "all", "route", "principal", "consumer", "header:NAME", "cookie:NAME" or "claim:NAME", or an array of these';
const WHOLE_COOKIE = '"cookie:NAME": the whole Cookie header changes with any of its cookies';
const WINDOW = 'exactly one of "windowSeconds" and "window"';
const TOO_MUCH =
  "at most 2^53 for burst (by default requestsPerWindow) times the window in milliseconds, so that the bucket counts exactly; shorten the window or lower the burst";

describe("a rateLimit is refused", () => {
  it.each([
    [{ window: "1s" }, "requestsPerWindow", "nothing", "a whole number, at least 1: the field is required"],
    [{ requestsPerWindow: 0, window: "1s" }, "requestsPerWindow", "0", "a whole number, at least 1"],
    [{ requestsPerWindow: 1 }, "windowSeconds", "nothing", WINDOW],
    [{ ...PER_MINUTE, windowSeconds: 60 }, "windowSeconds", "60", WINDOW],
    [
      { requestsPerWindow: 1, window: 60 },
      "window",
      "60",
      'a duration such as "500ms", "30s", "5m", "1h" or "1d", from 1ms to 366d',
    ],
    [{ ...PER_MINUTE, burst: 0 }, "burst", "0", "a whole number, at least 1"],
    [{ ...PER_MINUTE, by: "user" }, "by", '"user"', KEY],
    [{ ...PER_MINUTE, by: "cookie:a b" }, "by", '"cookie:a b"', KEY],
    [{ ...PER_MINUTE, by: "claim:" }, "by", '"claim:"', KEY],
    [{ ...PER_MINUTE, by: "header:" }, "by", '"header:"', KEY],
    [{ ...PER_MINUTE, by: "header:X-Forwarded-For" }, "by", '"header:X-Forwarded-For"', ADDRESS],
    [{ ...PER_MINUTE, by: "header:cf-connecting-ip" }, "by", '"header:cf-connecting-ip"', ADDRESS],
    [{ ...PER_MINUTE, by: ["route", "header:x-real-ip"] }, "by", "an array of 2", ADDRESS],
    [{ ...PER_MINUTE, by: "header:Cookie" }, "by", '"header:Cookie"', WHOLE_COOKIE],
    [{ ...PER_MINUTE, by: ["cookie:a", "cookie:a"] }, "by", "an array of 2", "each key once"],
    [{ ...PER_MINUTE, by: [] }, "by", "an empty array", KEY],
    [{ ...PER_MINUTE, by: ["header:A", "header:a"] }, "by", "an array of 2", "each key once"],
    [{ ...PER_MINUTE, by: ["all", "ip"] }, "by", "an array of 2", '"all" alone: with another key it adds nothing'],
    [{ ...PER_MINUTE, mode: "loose" }, "mode", '"loose"', 'one of "strict", "leased"'],
    [
      { ...PER_MINUTE, algorithm: "leaky-bucket" },
      "algorithm",
      '"leaky-bucket"',
      'one of "token-bucket", "sliding-window", "approximate-sliding-window", "fixed-window", "concurrency"',
    ],
    [{ ...PER_MINUTE, onError: "fail" }, "onError", '"fail"', 'one of "local", "closed", "open"'],
    [{ ...PER_MINUTE, clients: 1 }, "clients", "1", 'one of "pooled", "own"'],
    [{ ...PER_MINUTE, shadow: "yes" }, "shadow", '"yes"', "true or false"],
    [
      { ...PER_MINUTE, name: 'x"y' },
      "name",
      '"x\\"y"',
      "a name: letters, digits, dots, dashes and underscores, at most 32 (it appears in the RateLimit headers)",
    ],
    [
      { ...PER_MINUTE, deadline: "1m" },
      "deadline",
      '"1m"',
      'a duration such as "500ms", "30s", "5m", "1h" or "1d" or a number of milliseconds, from 1ms to 30s',
    ],
  ])("when it is %j", (rateLimit, field, got, wanted) => {
    expect(problemsOf({ rateLimit })).toEqual([{ path: `rateLimit.${field}`, got, wanted }]);
  });

  it("when its bucket could not count exactly", () => {
    const most = 2 ** 53 / 2 ** 20;
    const window = `${2 ** 20}ms`;
    expect(problemsOf({ rateLimit: { requestsPerWindow: most, window } })).toEqual([]);
    expect(problemsOf({ rateLimit: { requestsPerWindow: most + 1, window } })).toEqual([
      { path: "rateLimit.burst", got: "nothing", wanted: TOO_MUCH },
    ]);
    expect(problemsOf({ rateLimit: { requestsPerWindow: 1, burst: most + 1, window } })).toEqual([
      { path: "rateLimit.burst", got: String(most + 1), wanted: TOO_MUCH },
    ]);
    expect(problemsOf({ rateLimit: { requestsPerWindow: most + 1, burst: 1, window } })).toEqual([]);
  });

  it("beside rateLimits, on the same level", () => {
    const both = { rateLimit: PER_MINUTE, rateLimits: [{ ...PER_MINUTE, name: "a" }] };
    const wanted = 'either "rateLimit" or "rateLimits": move the single limit into the list';
    expect(problemsOf({ ...both, routes: [{ ...ROUTE, ...both }] })).toEqual([
      { path: "routes[0].rateLimits", got: "an array of 1", wanted },
      { path: "rateLimits", got: "an array of 1", wanted },
    ]);
  });

  it("beside more than a message to its owner may hold", () => {
    const rateLimits = Array.from({ length: 33 }, (_, index) => ({ ...PER_MINUTE, name: `n${index}` }));
    expect(problemsOf({ routes: [{ ...ROUTE, rateLimits: rateLimits.slice(1) }] })).toEqual([]);
    expect(problemsOf({ routes: [{ ...ROUTE, rateLimits }] })).toEqual([
      {
        path: "routes[0].rateLimits",
        got: "an array of 33",
        wanted: "at most 32 limits: one message to their owner holds them all",
      },
    ]);
  });

  it("without a name of its own among several", () => {
    const rateLimits = [{ ...PER_MINUTE, name: "a" }, PER_MINUTE, { ...PER_MINUTE, name: "a", burst: 0 }];
    expect(problemsOf({ rateLimits })).toEqual([
      { path: "rateLimits[2].burst", got: "0", wanted: "a whole number, at least 1" },
      { path: "rateLimits[1].name", got: "nothing", wanted: 'a "name", since there may be several limits' },
      { path: "rateLimits[2].name", got: '"a"', wanted: "a name of its own" },
    ]);
  });
});
