import { describe, expect, it } from "vitest";
import { DEFAULT_CONCURRENCY } from "../../../schemas/policies/backends/concurrency.ts";
import { DEFAULT_MIRROR } from "../../../schemas/policies/mirror.ts";
import { configOf, problemsOf, ROUTE, routeOf, warningsOf } from "./documents.ts";

const TARGETS = [{ url: "https://b.example.com" }];
const SHADOW = { backends: { shadow: { targets: TARGETS } } };

/** What a backend makes of `concurrency`, under a top level. */
function concurrencyOf(concurrency: unknown, topLevel: object = {}): unknown {
  const document = { ...topLevel, backends: { b: { targets: TARGETS, concurrency } }, routes: [] };
  return configOf(document).backends.get("b")?.concurrency;
}

describe("concurrency", () => {
  const { limit, shares } = DEFAULT_CONCURRENCY;

  it.each<[string, unknown, unknown]>([
    ["a number", 10, { limit: { kind: "fixed", limit: 10 }, shares, shadow: false }],
    ["the word", "adaptive", DEFAULT_CONCURRENCY],
    ["an empty object", {}, DEFAULT_CONCURRENCY],
    ["false", false, undefined],
    ["an object that is off", { enabled: false, limit: 3 }, undefined],
    [
      "a number in shadow mode",
      { limit: 3, shadow: true },
      { limit: { kind: "fixed", limit: 3 }, shares, shadow: true },
    ],
    [
      "settings",
      { minimum: 5, maximum: 50, initial: 10, buffer: 0.5, quantile: 0.95, measureEvery: "1m" },
      {
        limit: { ...limit, minimum: 5, maximum: 50, initial: 10, buffer: 0.5, quantile: 0.95, measureEveryMs: 60_000 },
        shares,
        shadow: false,
      },
    ],
    ["a small maximum", { maximum: 8 }, { ...DEFAULT_CONCURRENCY, limit: { ...limit, maximum: 8, initial: 8 } }],
    ["a large minimum", { minimum: 40 }, { ...DEFAULT_CONCURRENCY, limit: { ...limit, minimum: 40, initial: 40 } }],
    [
      "shares",
      { limit: 9, shares: { normal: 0.4 } },
      { limit: { kind: "fixed", limit: 9 }, shares: { critical: 1, normal: 0.4, low: 0.4 }, shadow: false },
    ],
  ])("is read from %s", (_, written, expected) => {
    expect(concurrencyOf(written)).toEqual(expected);
  });

  it("comes from the top level where a backend says nothing, also for a route's own target", () => {
    const five = { limit: { kind: "fixed", limit: 5 }, shares, shadow: false };
    expect([concurrencyOf(undefined, { concurrency: 5 }), concurrencyOf(false, { concurrency: 5 })]).toEqual([
      five,
      undefined,
    ]);
    const { backends } = configOf({ concurrency: 5, routes: [ROUTE] });
    expect(backends.get("route:/a")?.concurrency).toEqual(five);
  });

  it.each<[string, unknown, string]>([
    ["nobody", 0, "backends.b.concurrency"],
    ["a word", "some", "backends.b.concurrency"],
    ["both ways", { limit: 5, minimum: 2 }, "backends.b.concurrency.limit"],
    ["bounds that cross", { minimum: 9, maximum: 5 }, "backends.b.concurrency.maximum"],
    ["a maximum below the usual minimum", { maximum: 2 }, "backends.b.concurrency.maximum"],
    ["a beginning outside of the bounds", { initial: 2 }, "backends.b.concurrency.initial"],
    ["more for low than for normal", { shares: { normal: 0.2, low: 0.3 } }, "backends.b.concurrency.shares.low"],
    ["a share of nothing", { shares: { low: 0 } }, "backends.b.concurrency.shares.low"],
    ["an unknown key", { most: 5 }, "backends.b.concurrency.most"],
  ])("is refused with %s", (_, concurrency, path) => {
    const document = { backends: { b: { targets: TARGETS, concurrency } }, routes: [] };
    expect(problemsOf(document).map((problem) => problem.path)).toEqual([path]);
  });

  it("is a key of backends, and a route is told so", () => {
    expect(problemsOf({ routes: [{ ...ROUTE, concurrency: 5 }] })).toEqual([
      expect.objectContaining({ path: "routes[0].concurrency", wanted: expect.stringContaining("backend") }),
    ]);
  });
});

describe("priority", () => {
  it.each<[unknown, unknown]>([
    ["critical", { standard: "critical", header: undefined }],
    [{ header: "X-Class" }, { standard: "normal", header: "x-class" }],
    [
      { default: "low", header: "X-Class" },
      { standard: "low", header: "x-class" },
    ],
    [undefined, undefined],
  ])("is read from %j", (priority, expected) => {
    expect(routeOf({ priority }).priority).toEqual(expected);
  });

  it("comes from the top level where a route says nothing", () => {
    expect(routeOf({}, { priority: "low" }).priority).toEqual({ standard: "low", header: undefined });
  });

  it("is one of three", () => {
    expect(problemsOf({ routes: [{ ...ROUTE, priority: "urgent" }] })).toHaveLength(1);
  });
});

describe("a mirror", () => {
  it("has defaults for everything but its backend", () => {
    expect(routeOf({ mirror: { backend: "shadow" } }, SHADOW).mirror).toEqual({ backend: "shadow", ...DEFAULT_MIRROR });
  });

  it("takes every field", () => {
    const mirror = {
      backend: "shadow",
      percent: 12.5,
      methods: ["get"],
      maxBodySize: "1KiB",
      maxInFlight: 3,
      timeout: "2s",
      removeHeaders: ["Authorization"],
    };
    expect(routeOf({ mirror }, SHADOW).mirror).toEqual({
      backend: "shadow",
      share: 0.125,
      methods: ["GET"],
      maxBodyBytes: 1_024,
      maxInFlight: 3,
      timeoutMs: 2_000,
      removeHeaders: ["authorization"],
    });
  });

  it("of the top level is every route's, but not of one that goes there anyway", () => {
    const { routes } = configOf({
      ...SHADOW,
      mirror: { backend: "shadow" },
      routes: [ROUTE, { prefix: "/b", backend: "shadow" }, { prefix: "/c", backend: "shadow", mirror: false }],
    });
    expect(routes.map(({ mirror }) => mirror?.backend)).toEqual(["shadow", undefined, undefined]);
  });

  it.each<[object, string]>([
    [{ backend: "nowhere" }, "routes[0].mirror.backend"],
    [{}, "routes[0].mirror.backend"],
    [{ backend: "shadow", percent: 0 }, "routes[0].mirror.percent"],
    [{ backend: "shadow", maxBodySize: "65KiB" }, "routes[0].mirror.maxBodySize"],
    [{ backend: "shadow", timeout: "30s" }, "routes[0].mirror.timeout"],
  ])("%j is refused", (mirror, path) => {
    const problems = problemsOf({ ...SHADOW, routes: [{ ...ROUTE, mirror }] });
    expect(problems.map((problem) => problem.path)).toEqual([path]);
  });

  it("of the route's own backend is said to copy nothing", () => {
    const document = { ...SHADOW, routes: [{ prefix: "/a", backend: "shadow", mirror: { backend: "shadow" } }] };
    expect(warningsOf(document)).toEqual([
      { path: "routes[0].mirror", message: "nothing is copied: it names the route's own backend" },
    ]);
  });

  it.each([true, "shadow"])("%j is told what it should be", (mirror) => {
    expect(problemsOf({ ...SHADOW, routes: [{ ...ROUTE, mirror }] }).map(({ wanted }) => wanted)).toEqual([
      'an object with "backend", or false to remove the policy',
    ]);
  });

  it("uses its backend", () => {
    expect(warningsOf({ ...SHADOW, routes: [{ ...ROUTE, mirror: { backend: "shadow" } }] })).toEqual([]);
  });
});

describe("a batch", () => {
  const DEFAULTS = { path: "/batch", maxRequests: 50, maxBodySize: 2 ** 20, maxAnswerSize: 2 ** 23, timeoutMs: 60_000 };

  it.each<[unknown, unknown, unknown]>([
    [undefined, undefined, undefined],
    [true, undefined, DEFAULTS],
    [false, undefined, undefined],
    [{ enabled: false }, undefined, undefined],
    [{ maxRequests: 5, timeout: "5s" }, undefined, { ...DEFAULTS, maxRequests: 5, timeoutMs: 5_000 }],
    [true, { batch: "/many" }, { ...DEFAULTS, path: "/many" }],
    [true, { batch: false }, undefined],
  ])("is read from %j at %j", (batch, endpoints, expected) => {
    const fields = Object.entries({ batch, endpoints }).filter(([, value]) => value !== undefined);
    expect(configOf({ ...Object.fromEntries(fields), routes: [] }).batch).toEqual(expected);
  });

  it("has a path of its own", () => {
    expect(problemsOf({ batch: true, endpoints: { batch: "/readyz" }, routes: [ROUTE] })).toEqual([
      expect.objectContaining({ path: "endpoints.batch" }),
    ]);
  });

  it("wins over a route below it, which is said", () => {
    expect(warningsOf({ batch: true, routes: [{ prefix: "/batch", target: "https://a.example.com" }] })).toEqual([
      expect.objectContaining({ path: "routes[0]", message: expect.stringContaining("/batch") }),
    ]);
  });

  it.each([[{ maxRequests: 501 }], [{ maxBodySize: "17MiB" }], [{ maxAnswerSize: 0 }], ["yes"]])(
    "%j is refused",
    (batch) => {
      expect(problemsOf({ batch, routes: [ROUTE] })).toHaveLength(1);
    },
  );
});
