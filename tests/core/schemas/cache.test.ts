import { describe, expect, it } from "vitest";
import { DEFAULT_CACHE } from "../../../schemas/cache-policy.ts";
import { parseConfig } from "../../../schemas/index.ts";

const ROUTE = { prefix: "/a", target: "https://a.example.com" };

function load(document: Readonly<Record<string, unknown>>) {
  const result = parseConfig(document);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return { caches: result.config.routes.map(({ cache }) => cache), warnings: result.warnings };
}

function problems(cache: unknown) {
  const result = parseConfig({ routes: [{ ...ROUTE, cache }] });
  return result.ok ? [] : result.problems.map(({ path }) => path);
}

describe("caching", () => {
  it("is off where nobody asks for it", () => {
    expect(load({ routes: [ROUTE] }).caches).toEqual([undefined]);
  });

  it("has its defaults where it is only switched on", () => {
    expect(load({ routes: [{ ...ROUTE, cache: true }] }).caches).toEqual([DEFAULT_CACHE]);
  });

  it("is the top level's where a route says nothing, replaced by a route's own, and removed by false", () => {
    const routes = [
      ROUTE,
      { ...ROUTE, prefix: "/b", cache: { grace: 0 } },
      { ...ROUTE, prefix: "/c", cache: false },
      { ...ROUTE, prefix: "/d", cache: { enabled: false } },
    ];
    expect(load({ cache: { ttl: 300 }, routes }).caches).toEqual([
      { ...DEFAULT_CACHE, ttlMs: 300_000 },
      { ...DEFAULT_CACHE, graceMs: 0 },
      undefined,
      undefined,
    ]);
  });

  it("takes every field", () => {
    const cache = {
      ttl: "5m",
      respectCacheControl: false,
      respectRequestDirectives: true,
      heuristics: false,
      negativeTtl: { "404": "10s", "410": 60 },
      staleWhileRevalidate: 30,
      staleIfError: "1h",
      grace: 0,
      cookies: { key: ["lang", "lang", "theme"] },
      authorization: "key",
      stripSetCookie: true,
      query: { without: ["utm_source"], sorted: true },
      maxBodySize: "1MiB",
      tags: ["shop"],
      groupInvalidation: true,
      tiers: { colo: { deadline: 80 }, kv: { maxBodySize: "64KiB", deadline: "1s" }, r2: false },
    };
    expect(load({ routes: [{ ...ROUTE, cache }] }).caches).toEqual([
      {
        ttlMs: 300_000,
        respectCacheControl: false,
        targetedFields: DEFAULT_CACHE.targetedFields,
        negativeTtlMs: new Map([
          [404, 10_000],
          [410, 60_000],
        ]),
        heuristicStatuses: new Set(),
        staleWhileRevalidateMs: 30_000,
        staleIfErrorMs: 3_600_000,
        graceMs: 0,
        respectRequestDirectives: true,
        cookies: { kind: "key", names: ["lang", "theme"] },
        authorization: "key",
        stripSetCookie: true,
        query: { kind: "without", names: ["utm_source"], isSorted: true },
        maxBytes: 2 ** 20,
        tags: ["shop"],
        groupInvalidation: true,
        tiers: {
          colo: { deadlineMs: 80, maxBytes: Infinity },
          kv: { deadlineMs: 1_000, maxBytes: 65_536 },
          r2: undefined,
        },
      },
    ]);
  });

  it.each([
    ["a negative time", { staleIfError: -1 }, ["routes[0].cache.staleIfError"]],
    ["a ttl of nothing", { ttl: 0 }, ["routes[0].cache.ttl"]],
    ["a tier that there is not", { tiers: { memory: true } }, ["routes[0].cache.tiers.memory"]],
    ["more than KV takes", { tiers: { kv: { maxBodySize: "25MiB" } } }, ["routes[0].cache.tiers.kv.maxBodySize"]],
    ["a deadline that is none", { tiers: { r2: { deadline: 0 } } }, ["routes[0].cache.tiers.r2.deadline"]],
    ["a status that confirms", { negativeTtl: { "304": 10 } }, ["routes[0].cache.negativeTtl.304"]],
    ["a success among the failures", { negativeTtl: { "200": 10 } }, ["routes[0].cache.negativeTtl.200"]],
    ["cookies that nobody named", { cookies: { key: [] } }, ["routes[0].cache.cookies.key"]],
    ["another word for cookies", { cookies: "share" }, ["routes[0].cache.cookies"]],
    ["another word for credentials", { authorization: "share" }, ["routes[0].cache.authorization"]],
    ["two lists of parameters", { query: { only: ["a"], without: ["b"] } }, ["routes[0].cache.query.without"]],
    ["a parameter with its value", { query: { only: ["a=1"] } }, ["routes[0].cache.query.only[0]"]],
    ["a body that fills an isolate", { maxBodySize: "64MiB" }, ["routes[0].cache.maxBodySize"]],
    ["a tag that is two", { tags: ["a,b"] }, ["routes[0].cache.tags[0]"]],
    ["an unknown field", { swr: 10 }, ["routes[0].cache.swr"]],
  ])("refuses %s", (_what, cache, paths) => {
    expect(problems(cache)).toEqual(paths);
  });

  it.each([
    ["a route without GET", { methods: ["POST"], cache: { ttl: 1 } }, "routes[0].cache"],
    ["nothing to override with", { cache: { respectCacheControl: false } }, "routes[0].cache.respectCacheControl"],
    ["credentials that are shared", { cache: { authorization: "public" } }, "routes[0].cache.authorization"],
    [
      "no tier at all",
      { cache: { tiers: { colo: false, kv: false, r2: { enabled: false } } } },
      "routes[0].cache.tiers",
    ],
    ["errors that a stranger can provoke", { cache: { negativeTtl: { "400": 1 } } }, "routes[0].cache.negativeTtl.400"],
  ])("warns of %s", (_what, fields, path) => {
    const { warnings } = load({ routes: [{ ...ROUTE, ...fields }] });
    expect(warnings.map((warning) => warning.path)).toContain(path);
  });
});
