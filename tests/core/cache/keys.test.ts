import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyBytes, keyParts } from "../../../worker/cache/cache-key.ts";
import { DEFAULT_CACHE, type QueryRule } from "../../../schemas/cache-policy.ts";
import { keyedQuery } from "../../../worker/cache/keyed-query.ts";
import { bypassOf, type Bypass, type LookupRequest } from "../../../worker/cache/lookup.ts";
import { NO_REQUEST_RULES } from "../../../worker/cache/request-rules.ts";
import { effectiveVary } from "../../../worker/cache/effective-vary.ts";
import { plainPath } from "../../../worker/cache/plain-path.ts";
import { withheldFields } from "../../../worker/cache/unkeyed-fields.ts";
import { reading } from "./fixtures.ts";

const REQUEST = { method: "GET", scheme: "https", host: "a.test", path: "/x", query: "?q=1" } as const;

describe("the key", () => {
  it("is made of everything that makes a response what it is", () => {
    const parts = keyParts({ request: REQUEST, query: "?q=1", route: "r", partition: ["p"] });
    expect(parts).toEqual(["1", "GET", "https", "a.test", "/x", "?q=1", "r", "p"]);
  });

  it("of a HEAD is that of the GET", () => {
    const key = (method: string) => keyParts({ request: { ...REQUEST, method }, query: "", route: "r", partition: [] });
    expect(key("HEAD")).toEqual(key("GET"));
    expect(key("POST")).not.toEqual(key("GET"));
  });

  it("is the same bytes for the same parts, and for no others", () => {
    const strings = fc.array(fc.string({ unit: "binary", maxLength: 4 }), { maxLength: 4 });
    fc.assert(
      fc.property(strings, strings, (one, other) => {
        const same = JSON.stringify(one) === JSON.stringify(other);
        expect(Buffer.from(keyBytes(one)).equals(Buffer.from(keyBytes(other)))).toBe(same);
      }),
      { numRuns: 300 },
    );
  });

  it("tells apart what only the bounds of its parts tell apart", () => {
    const lists = [
      ["ab", "c"],
      ["a", "bc"],
      ["abc"],
      ["abc", ""],
      ["", "abc"],
      ["a", "b", "c"],
      ["\ud800"],
      ["\udfff"],
    ];
    const keys = new Set(lists.map((parts) => Buffer.from(keyBytes(parts)).toString("hex")));
    expect(keys.size).toBe(lists.length);
  });
});

it.each<[string, QueryRule, string]>([
  ["?b=2&a=1&utm_source=x", { kind: "all", isSorted: false }, "?b=2&a=1&utm_source=x"],
  ["?b=2&a=1&a=0", { kind: "all", isSorted: true }, "?a=1&a=0&b=2"],
  ["?b=2&a=1", { kind: "only", names: ["a"], isSorted: false }, "?a=1"],
  ["?b=2&a=1&utm=x", { kind: "without", names: ["utm"], isSorted: false }, "?b=2&a=1"],
  ["?utm=x", { kind: "without", names: ["utm"], isSorted: false }, ""],
  ["?a=1;b=2", { kind: "only", names: ["a"], isSorted: false }, "?a=1;b=2"],
  ["?utm=1;a=2&a=1", { kind: "without", names: ["utm"], isSorted: false }, "?a=1"],
  ["?%61=1&a=2", { kind: "only", names: ["a"], isSorted: false }, "?a=2"],
  ["?a", { kind: "only", names: ["a"], isSorted: false }, "?a"],
  ["", { kind: "all", isSorted: true }, ""],
  ["?", { kind: "all", isSorted: true }, "?"],
])("the query %j by %j is keyed and sent as %j", (query, rule, expected) => {
  expect(keyedQuery(query, rule)).toBe(expected);
});

function request(others: Partial<LookupRequest> = {}, fields: Record<string, string> = {}): LookupRequest {
  const plain = {
    method: "GET",
    path: "/x",
    hasBody: false,
    hasOtherCredentials: false,
    knownBy: undefined,
    rules: NO_REQUEST_RULES,
  };
  return { ...plain, fields: reading(fields), ...others };
}

it.each<[string, LookupRequest, Bypass | undefined]>([
  ["a plain GET", request(), undefined],
  ["a HEAD", request({ method: "HEAD" }), undefined],
  ["one with a range", request({}, { range: "bytes=0-1" }), undefined],
  ["one with conditions that are judged here", request({}, { "if-none-match": '"a"' }), undefined],
  ["a POST", request({ method: "POST" }), "method"],
  ["a GET in lower case", request({ method: "get" }), "method"],
  ["a GET with a body", request({ hasBody: true }), "body"],
  ["an upgrade", request({}, { upgrade: "websocket" }), "upgrade"],
  ["If-Match", request({}, { "if-match": '"a"' }), "precondition"],
  ["If-Unmodified-Since", request({}, { "if-unmodified-since": "x" }), "precondition"],
  ["cookies", request({}, { cookie: "a=b" }), "cookie"],
  ["credentials", request({}, { authorization: "Bearer x" }), "authorization"],
  ["credentials in another field", request({ hasOtherCredentials: true }), "authorization"],
  ["a no-store that counts", request({ rules: { ...NO_REQUEST_RULES, isNoStore: true } }), "no-store"],
])("%s: past the cache by %s", (_title, asking, expected) => {
  expect(bypassOf(asking, DEFAULT_CACHE)).toBe(expected);
});

it.each([
  "/account%2fx.css",
  "/account%2Fx.css",
  "/account%5cx.css",
  "/account;x.css",
  "/account%3bx.css",
  "/account%23x.css",
  "/account%3fx.css",
  "/account%00x.css",
  "/account%0ax.css",
  "/account%0Dx.css",
  "/account%1fx.css",
  "/account%7fx.css",
  "/account%252fx.css",
])("goes past the cache with %s, which an origin may read in another way", (path) => {
  expect(bypassOf(request({ path }), DEFAULT_CACHE)).toBe("path");
});

it.each(["/a.b/c-d_e~f", "/caf%C3%A9", "/a%20b", "/a+b", "/a@b:c,d$e!f'g(h)*i=j&k"])(
  "asks the cache for %s",
  (path) => {
    expect(bypassOf(request({ path }), DEFAULT_CACHE)).toBeUndefined();
  },
);

describe("credentials", () => {
  const CREDENTIALS = { authorization: "Bearer x" };

  it.each([
    ["bypass", CREDENTIALS, "authorization", "authorization"],
    ["bypass", {}, "other", undefined],
    ["public", CREDENTIALS, undefined, undefined],
    ["key", CREDENTIALS, "authorization", undefined],
    ["key", CREDENTIALS, "other", "authorization"],
    ["key", CREDENTIALS, undefined, "authorization"],
    ["key", {}, "other", undefined],
    ["key", {}, undefined, "authorization"],
  ] as const)("by the rule %j with %j, known by %j: %s", (authorization, fields, knownBy, expected) => {
    expect(bypassOf(request({ knownBy }, fields), { ...DEFAULT_CACHE, authorization })).toBe(expected);
  });

  it.each([
    [{ kind: "bypass" }, "cookie"],
    [{ kind: "strip" }, undefined],
    [{ kind: "key", names: ["lang"] }, undefined],
  ] as const)("cookies by the rule %j: %s", (cookies, expected) => {
    expect(bypassOf(request({}, { cookie: "a=b" }), { ...DEFAULT_CACHE, cookies })).toBe(expected);
  });
});

it("withholds from the origin what could change the answer and is in no key", () => {
  const unkeyed = [
    ["x-forwarded-host", "x-host", "x-forwarded-scheme", "x-forwarded-port", "x-original-url", "x-rewrite-url"],
    ["forwarded", "x-http-method-override", "x-http-method", "x-method-override", "x-original-uri", "fastly-host"],
    ["x-nextjs-data", "x-middleware-prefetch", "x-invoke-path", "x-invoke-status", "x-forwarded-anything"],
    ["x_forwarded_host", "x_original_url", "x-http_method-override", "x_invoke_path", "x_host"],
  ].flat();
  const names = [...unkeyed, "accept", "x-hostess", "x-invoked", "cookie"];
  for (const isFill of [true, false]) {
    const withheld = withheldFields(names, DEFAULT_CACHE, isFill);
    expect(withheld.filter((name) => names.includes(name))).toEqual(unkeyed);
    expect(withheldFields(names, { ...DEFAULT_CACHE, cookies: { kind: "strip" } }, isFill)).toContain("cookie");
  }
});

it("withholds a client's conditions where the response is to be kept, and not where it is that client's range", () => {
  const conditions = ["range", "if-range", "if-none-match", "if-modified-since"];
  expect(withheldFields(conditions, DEFAULT_CACHE, true)).toEqual(expect.arrayContaining(conditions));
  expect(withheldFields(conditions, DEFAULT_CACHE, false)).toEqual([]);
});

describe("a path is known by one spelling", () => {
  it.each([
    ["/a/b", "/a/b"],
    ["/a/%62", "/a/b"],
    ["/%61%2E%5f%7E%2d/%31", "/a._~-/1"],
    ["/caf%c3%a9", "/caf%C3%A9"],
    ["/a%2fb%3B%25%21", "/a%2Fb%3B%25%21"],
    ["/a+b", "/a+b"],
    ["/%2562", "/%2562"],
  ])("%s: %s", (path, expected) => {
    expect(plainPath(path)).toBe(expected);
    expect(plainPath(expected)).toBe(expected);
  });

  it("and so is what is kept for it", () => {
    const parts = (path: string) =>
      keyParts({
        request: { method: "GET", scheme: "https", host: "a", path, query: "" },
        query: "",
        route: "r",
        partition: [],
      });
    expect(parts("/a/%62%c3")).toEqual(parts("/a/b%C3"));
    expect(parts("/a%2fb")).not.toEqual(parts("/a/b"));
  });
});

describe("a response varies", () => {
  it.each<[Record<string, string>, readonly string[] | "*"]>([
    [{}, []],
    [{ vary: "B, a" }, ["a", "b"]],
    [{ vary: "*", "content-encoding": "gzip" }, "*"],
    [{ "content-encoding": "gzip" }, ["accept-encoding"]],
    [{ "access-control-allow-origin": "*" }, []],
    [{ "access-control-allow-origin": "https://a.test", vary: "accept" }, ["accept", "origin"]],
    [{ "access-control-allow-origin": "null", vary: "Origin" }, ["origin"]],
  ])("with %j by %j", (fields, expected) => {
    expect(effectiveVary(reading(fields))).toEqual(expected);
  });
});
