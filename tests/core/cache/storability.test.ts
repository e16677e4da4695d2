import { describe, expect, it } from "vitest";
import { DEFAULT_CACHE, type CachePolicy } from "../../../schemas/cache-policy.ts";
import { storabilityOf, type Received } from "../../../worker/cache/storability.ts";
import { storedFields } from "../../../worker/cache/stored-response.ts";
import { dated, received } from "./fixtures.ts";

const FRESH = { "cache-control": "max-age=60" };
const WITH_TTL: CachePolicy = { ...DEFAULT_CACHE, ttlMs: 300_000 };

function verdict(response: Received, policy: CachePolicy = DEFAULT_CACHE): string {
  const result = storabilityOf(response, policy);
  return result.kind === "store" ? `store ${result.freshness.from} ${result.freshness.lifetimeMs}` : result.why;
}

it.each<[string, Received, string]>([
  ["an explicit lifetime", received(FRESH), "store max-age 60000"],
  ["an Expires", received({ expires: dated(60), date: dated(0) }), "store expires 60000"],
  ["s-maxage beside max-age", received({ "cache-control": "max-age=60, s-maxage=5" }), "store s-maxage 5000"],
  ["a 404 that says so", received(FRESH, { status: 404 }), "store max-age 60000"],
  ["a 503 that says so", received(FRESH, { status: 503 }), "store max-age 60000"],
  ["a status nobody knows that says so", received(FRESH, { status: 299 }), "store max-age 60000"],
  ["no-cache with a validator", received({ "cache-control": "no-cache", etag: '"a"' }), "store no-cache 0"],
  [
    "a targeted lifetime over no-store",
    received({ "cache-control": "no-store", "cdn-cache-control": "max-age=9" }),
    "store targeted 9000",
  ],
  [
    "must-understand of a status that we know",
    received({ "cache-control": "no-store, must-understand, max-age=9" }),
    "store max-age 9000",
  ],
  [
    "a tenth of the time since the last change",
    received({ "last-modified": dated(-1_000), date: dated(0) }),
    "store heuristic 100000",
  ],
  [
    "at most a day by the heuristic",
    received({ "last-modified": dated(-1e8), date: dated(0) }),
    "store heuristic 86400000",
  ],
  [
    "a 599 by the heuristic where it is public",
    received({ "cache-control": "public", "last-modified": dated(-1_000), date: dated(0) }, { status: 599 }),
    "store heuristic 100000",
  ],
  [
    "stale but of use while it is fetched anew",
    received({ "cache-control": "max-age=0, stale-while-revalidate=9" }),
    "store max-age 0",
  ],
  ["a POST", received(FRESH, { method: "POST" }), "method"],
  ["a HEAD", received(FRESH, { method: "HEAD" }), "method"],
  ["a part that was asked for", received(FRESH, { hasRange: true }), "range"],
  ["a 206", received(FRESH, { status: 206 }), "status"],
  ["a 304", received(FRESH, { status: 304 }), "status"],
  [
    "must-understand of a status nobody knows",
    received({ "cache-control": "max-age=60, must-understand" }, { status: 599 }),
    "status",
  ],
  ["no-store", received({ "cache-control": "no-store, max-age=60" }), "no-store"],
  ["private in whatever case", received({ "cache-control": "Private, max-age=60" }), "private"],
  ["private of one field", received({ "cache-control": 'private="x", max-age=60' }), "private"],
  ["Set-Cookie", received({ ...FRESH, "set-cookie": "sid=1" }), "set-cookie"],
  [
    "Set-Cookie although it is public",
    received({ "cache-control": "public, max-age=60", "set-cookie": "sid=1" }),
    "set-cookie",
  ],
  ["Set-Cookie2", received({ ...FRESH, "set-cookie2": "sid=1" }), "set-cookie"],
  ["Vary: *", received({ ...FRESH, vary: "*" }), "vary"],
  ["Vary with * among others", received({ ...FRESH, vary: "accept, *" }), "vary"],
  ["Vary with an empty member and *", received({ ...FRESH, vary: ", *" }), "vary"],
  ["Vary that can't be read", received({ ...FRESH, vary: "accept encoding" }), "vary"],
  ["nothing said", received({}), "no-freshness"],
  ["a validator alone", received({ etag: '"a"' }), "no-freshness"],
  ["public alone", received({ "cache-control": "public" }), "no-freshness"],
  [
    "a status that no heuristic is for",
    received({ "last-modified": dated(-1_000), date: dated(0) }, { status: 403 }),
    "no-freshness",
  ],
  [
    "a 414, which others can provoke",
    received({ "last-modified": dated(-1_000), date: dated(0) }, { status: 414 }),
    "no-freshness",
  ],
  [
    "a targeted field that says nothing of time, and an Expires that is not asked",
    received({ "cdn-cache-control": "x", expires: dated(60) }),
    "no-freshness",
  ],
  [
    "Pragma: no-cache and a Last-Modified",
    received({ pragma: "no-cache", "last-modified": dated(-1_000) }),
    "no-freshness",
  ],
  ["no time left and no validator", received({ "cache-control": "max-age=0" }), "no-use"],
  ["an Expires that is no date", received({ expires: "0", date: dated(0) }), "no-use"],
  ["no-cache without a validator", received({ "cache-control": "no-cache, max-age=60" }), "no-use"],
  [
    "more tags than one can purge by",
    received({ ...FRESH, "cache-tag": Array.from({ length: 1_001 }, (_, i) => `t${i}`).join() }),
    "tags",
  ],
])("%s", (_title, response, expected) => {
  expect(verdict(response)).toBe(expected);
});

describe("a response to a request with Authorization", () => {
  const policy: CachePolicy = { ...DEFAULT_CACHE, authorization: "public" };

  it.each([
    ["max-age=60", "authorization"],
    ["max-age=60, stale-while-revalidate=9", "authorization"],
    ["max-age=60, public", "store max-age 60000"],
    ["max-age=60, must-revalidate", "store max-age 60000"],
    ["s-maxage=60", "store s-maxage 60000"],
    ["max-age=60, proxy-revalidate", "authorization"],
    ["s-maxage=60, private", "private"],
    ["public, no-store", "no-store"],
  ])("that says %j: %s", (cacheControl, expected) => {
    expect(verdict(received({ "cache-control": cacheControl }, { hasAuthorization: true }), policy)).toBe(expected);
  });

  it("is kept for its principal where the key holds who that is, and never what is private", () => {
    const keyed: CachePolicy = { ...DEFAULT_CACHE, authorization: "key" };
    expect(verdict(received(FRESH, { hasAuthorization: true }), keyed)).toBe("store max-age 60000");
    const personal = received({ "cache-control": "private, max-age=60" }, { hasAuthorization: true });
    expect(verdict(personal, keyed)).toBe("private");
  });
});

describe("a route's ttl", () => {
  it.each<[string, Received, string]>([
    ["counts where the origin says nothing", received({}), "store ttl 300000"],
    ["counts before the heuristic", received({ "last-modified": dated(-1_000) }), "store ttl 300000"],
    ["yields to max-age", received(FRESH), "store max-age 60000"],
    ["yields to an Expires that is over", received({ expires: "0", etag: '"a"' }), "store expires 0"],
    ["is not for 404", received({}, { status: 404 }), "no-freshness"],
    ["is not for 500", received({}, { status: 500 }), "no-freshness"],
    ["is not for 302", received({}, { status: 302 }), "no-freshness"],
    ["doesn't touch no-store", received({ "cache-control": "no-store" }), "no-store"],
    ["doesn't touch Set-Cookie", received({ "set-cookie": "a=b" }), "set-cookie"],
  ])("%s", (_title, response, expected) => {
    expect(verdict(response, WITH_TTL)).toBe(expected);
  });

  it.each<[string, Received, string]>([
    ["max-age", received(FRESH), "store ttl 300000"],
    ["s-maxage", received({ "cache-control": "s-maxage=1" }), "store ttl 300000"],
    ["a targeted field", received({ "cdn-cache-control": "max-age=1" }), "store ttl 300000"],
    ["not private", received({ "cache-control": "private, max-age=60" }), "private"],
    ["not no-store", received({ "cache-control": "no-store" }), "no-store"],
    ["not no-cache", received({ "cache-control": "no-cache" }), "no-use"],
    ["not Set-Cookie", received({ ...FRESH, "set-cookie": "a=b" }), "set-cookie"],
    ["not the lifetime of an error", received(FRESH, { status: 500 }), "store max-age 60000"],
  ])("overrides %s where the origin's word isn't respected", (_title, response, expected) => {
    expect(verdict(response, { ...WITH_TTL, respectCacheControl: false })).toBe(expected);
  });
});

describe("negative caching", () => {
  const policy: CachePolicy = {
    ...WITH_TTL,
    negativeTtlMs: new Map([
      [404, 10_000],
      [410, 60_000],
    ]),
  };

  it.each<[number, Record<string, string>, string]>([
    [404, {}, "store negative-ttl 10000"],
    [410, {}, "store negative-ttl 60000"],
    [404, FRESH, "store max-age 60000"],
    [404, { "cache-control": "no-store" }, "no-store"],
    [500, {}, "no-freshness"],
    [200, {}, "store ttl 300000"],
  ])("of %d with %j: %s", (status, fields, expected) => {
    expect(verdict(received(fields, { status }), policy)).toBe(expected);
  });
});

it.each([
  ["/account/x.css", "text/html", "deception"],
  ["/account/x.css", "text/html; charset=utf-8", "deception"],
  ["/account/x.JS", "application/json", "deception"],
  ["/account/x.png", "text/html", "deception"],
  ["/account/x.png", "application/json", "deception"],
  ["/account/x.css", "", "deception"],
  ["/account/x.css", "text/css", "store ttl 300000"],
  ["/a.png", "image/webp", "store ttl 300000"],
  ["/feed.xml", "application/rss+xml", "store ttl 300000"],
  ["/a.unknown", "text/html", "store ttl 300000"],
  ["/account", "text/html", "store ttl 300000"],
])("by ttl alone %s with %j: %s", (path, contentType, expected) => {
  const fields: Record<string, string> = contentType === "" ? {} : { "content-type": contentType };
  expect(verdict(received(fields, { path }), WITH_TTL)).toBe(expected);
});

it("takes the origin's own word for a file that looks like another", () => {
  const response = received({ ...FRESH, "content-type": "text/html" }, { path: "/account/x.css" });
  expect(verdict(response)).toBe("store max-age 60000");
});

it("keeps no field of the connection, none that Connection names, no cookie and nobody's quota", () => {
  const fields = storedFields([
    ["connection", "A, keep-alive"],
    ["keep-alive", "timeout=5"],
    ["proxy-authenticate", "x"],
    ["transfer-encoding", "chunked"],
    ["a", "1"],
    ["b", "2"],
    ["set-cookie", "c=3"],
    ["ratelimit", '"a";r=1'],
    ["ratelimit-policy", '"a";q=2'],
    ["x-ratelimit-remaining", "1"],
    ["x-ratelimited", "1"],
    ["cdn-cache-control", "max-age=1"],
  ]);
  expect(fields).toEqual([
    ["b", "2"],
    ["x-ratelimited", "1"],
    ["cdn-cache-control", "max-age=1"],
  ]);
});
