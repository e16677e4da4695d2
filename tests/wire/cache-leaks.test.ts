import { afterAll, beforeAll, expect, it } from "vitest";
import * as client from "../support/cache-client.ts";
import type { Asking } from "../support/cache-client.ts";
import { startCountingOrigin, type CountingOrigin } from "../support/counting-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";

let origin: CountingOrigin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await startCountingOrigin();
  const route = (prefix: string, cache: object) => ({
    id: prefix.slice(1),
    prefix,
    target: origin.url + prefix,
    cache,
  });
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      routes: [
        route("/plain", { ttl: 600, staleWhileRevalidate: 600, staleIfError: 600 }),
        route("/override", { ttl: 600, respectCacheControl: false }),
        route("/strip", { ttl: 600, cookies: "strip" }),
        route("/keyed", { ttl: 600, cookies: { key: ["lang"] } }),
        route("/public", { ttl: 600, authorization: "public" }),
        route("/each", { ttl: 600, authorization: "key" }),
        route("/bare", { ttl: 600, stripSetCookie: true }),
        {
          ...route("/limited", { ttl: 600 }),
          rateLimit: { requestsPerWindow: 10_000, windowSeconds: 60, by: "header:x-team" },
        },
        route("/query", { ttl: 600, query: { without: ["utm"] } }),
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

const get = (path: string, asking?: Asking) => client.get(gateway.url, path, asking);
const settled = () => client.settled(gateway.url, "/plain", origin);

type Fields = Readonly<Record<string, string | readonly string[]>>;

const ALICE = { cookie: "sid=alice", authorization: "Bearer alice" };
const NOBODY = {};

/** What an origin says, and how two ask it: whatever the second gets must have nothing of the first. */
type Apart = readonly [what: string, prefix: string, said: Fields, alice?: Fields, bob?: Fields];
const APART: readonly Apart[] = [
  ["private", "/plain", { "cache-control": "private, max-age=600" }],
  ["private on a route that overrides times", "/override", { "cache-control": "private, max-age=600" }],
  ["Private", "/plain", { "cache-control": "Private, max-age=600" }],
  ["PRIVATE behind a time", "/plain", { "cache-control": "max-age=600,PRIVATE" }],
  ["private that names a field", "/plain", { "cache-control": 'max-age=600, private="set-cookie"' }],
  ["private beside public", "/plain", { "cache-control": "public, private, max-age=600" }],
  ["private beside s-maxage", "/plain", { "cache-control": "s-maxage=600, private" }],
  ["private in a second line", "/plain", { "cache-control": ["max-age=600", "private"] }],
  ["private behind a quoted comma", "/plain", { "cache-control": 'x="a,b", private, max-age=600' }],
  ["a quote that is never closed", "/plain", { "cache-control": 'max-age=600, x="private' }],
  ["no-store", "/plain", { "cache-control": "no-store" }],
  ["no-store on a route that overrides times", "/override", { "cache-control": "no-store" }],
  ["No-Store", "/plain", { "cache-control": "No-Store, max-age=600" }],
  ["no-store beside public", "/plain", { "cache-control": "public, max-age=600, no-store" }],
  ["private to us", "/plain", { "cache-control": "public, max-age=600", "sluice-cache-control": "private" }],
  ["private to CDNs", "/plain", { "cache-control": "public, max-age=600", "cdn-cache-control": "private" }],
  ["no-store to CDNs", "/plain", { "cache-control": "public, max-age=600", "cdn-cache-control": "no-store" }],
  ["a cookie", "/plain", { "set-cookie": "sid=alice" }],
  [
    "a cookie on a route that overrides times",
    "/override",
    { "set-cookie": "sid=alice", "cache-control": "max-age=1" },
  ],
  ["a cookie beside public", "/plain", { "set-cookie": "sid=alice", "cache-control": "public, max-age=600" }],
  ["a cookie beside s-maxage", "/plain", { "set-cookie": "sid=alice", "cache-control": "s-maxage=600" }],
  ["a cookie with a validator", "/plain", { "set-cookie": "sid=alice", etag: '"1"', "cache-control": "no-cache" }],
  [
    "a cookie while revalidating",
    "/plain",
    { "set-cookie": "sid=alice", "cache-control": "max-age=0, stale-while-revalidate=600" },
  ],
  ["an old cookie", "/plain", { "set-cookie2": "sid=alice" }],
  ["vary by everything", "/plain", { vary: "*" }],
  ["vary by everything beside a name", "/plain", { vary: "accept, *" }],
  ["vary by everything in a second line", "/plain", { vary: ["accept", "*"] }],
  ["vary by what is no name", "/plain", { vary: "accept language" }],
  ["a cookie of the request", "/plain", {}, { cookie: "sid=alice" }, NOBODY],
  ["cookies of both", "/plain", {}, { cookie: "sid=alice" }, { cookie: "sid=bob" }],
  [
    "a cookie of a request beside public",
    "/plain",
    { "cache-control": "public, s-maxage=600" },
    { cookie: "sid=alice" },
    NOBODY,
  ],
  ["credentials of the request", "/plain", {}, { authorization: "Bearer alice" }, NOBODY],
  ["credentials of both", "/plain", {}, { authorization: "Bearer alice" }, { authorization: "Bearer bob" }],
  ["credentials beside public", "/plain", { "cache-control": "public, max-age=600" }, ALICE, NOBODY],
  [
    "credentials that nobody shares",
    "/public",
    { "cache-control": "max-age=600" },
    { authorization: "Bearer alice" },
    NOBODY,
  ],
  [
    "credentials where a route has the time alone",
    "/public",
    {},
    { authorization: "Bearer alice" },
    { authorization: "Bearer bob" },
  ],
  [
    "credentials with entries of their own",
    "/each",
    { "cache-control": "public, max-age=600" },
    { authorization: "Bearer alice" },
    { authorization: "Bearer bob" },
  ],
  [
    "credentials and none",
    "/each",
    { "cache-control": "public, max-age=600" },
    { authorization: "Bearer alice" },
    NOBODY,
  ],
  ["credentials that begin the same", "/each", {}, { authorization: "Bearer alice" }, { authorization: "Bearer alic" }],
  ["cookies on a route that keys by credentials", "/each", {}, ALICE, { authorization: "Bearer alice" }],
  ["credentials on a route that keys by cookies", "/keyed", {}, { authorization: "Bearer alice" }, NOBODY],
  ["credentials on a route that strips cookies", "/strip", {}, ALICE, NOBODY],
  ["an API key", "/plain", {}, { "x-api-key": "alice" }, NOBODY],
  ["API keys of both", "/plain", {}, { "x-api-key": "alice" }, { "x-api-key": "bob" }],
  ["an API key on a route that keys by credentials", "/each", {}, { "x-api-key": "alice" }, { "x-api-key": "bob" }],
  ["an API key that nobody shares", "/public", { "cache-control": "max-age=600" }, { "x-api-key": "alice" }, NOBODY],
  ["an assertion of who it is", "/plain", {}, { "cf-access-jwt-assertion": "alice" }, NOBODY],
  ["what a limit tells clients apart by", "/limited", {}, { "x-team": "alice" }, { "x-team": "bob" }],
  [
    "a proxy that is to revalidate",
    "/public",
    { "cache-control": "max-age=600, proxy-revalidate" },
    { authorization: "Bearer alice" },
    NOBODY,
  ],
  [
    "a time of the route beside what allows to share",
    "/public",
    { "cache-control": "must-revalidate" },
    { authorization: "Bearer alice" },
    NOBODY,
  ],
  [
    "private beside a field for us without a time",
    "/plain",
    { "cache-control": "private", "cdn-cache-control": "foo" },
  ],
  ["keyed cookies", "/keyed", {}, { cookie: "lang=alice" }, { cookie: "lang=bob" }],
  ["a keyed cookie and none", "/keyed", {}, { cookie: "lang=alice" }, NOBODY],
  ["a keyed cookie twice", "/keyed", {}, { cookie: "lang=bob; lang=alice" }, { cookie: "lang=bob" }],
  ["vary by a field", "/plain", { vary: "X-User" }, { "x-user": "alice" }, { "x-user": "bob" }],
  ["vary by a field that one lacks", "/plain", { vary: "X-User" }, { "x-user": "alice" }, NOBODY],
  ["vary by several", "/plain", { vary: "X-A, X-B" }, { "x-a": "alice", "x-b": "b" }, { "x-a": "a", "x-b": "liceb" }],
  ["vary by what the gateway says", "/plain", { vary: "X-Request-ID" }],
  ["a condition of the one", "/plain", { "cache-control": "private", etag: '"1"' }, { "if-none-match": '"2"' }, NOBODY],
  ["a range of the one", "/plain", { "cache-control": "private" }, { range: "bytes=0-1" }, NOBODY],
];

it.each(APART.map((row) => ({ what: row[0], row })))("$what keeps two apart", async ({ row }) => {
  const [what, prefix, said, alice = NOBODY, bob = NOBODY] = row;
  const path = `${prefix}/${what.replaceAll(/\W+/g, "-")}`;
  origin.on(path, ({ headers }, count) => ({
    headers: count === 1 ? said : { "cache-control": "no-store" },
    body: `for ${count === 1 ? "alice" : "another"}, ${headers["cookie"]}, ${headers["authorization"]}`,
  }));
  await get(path, { headers: alice });
  await settled();
  const got = await get(path, { headers: bob });
  expect(got.body.toString()).toMatch(/^for another/);
  expect(JSON.stringify(got.headers)).not.toContain("alice");
  expect(origin.asked(path).length).toBe(2);
});

/** What a route takes out so that it can be shared. */
const SHARED: readonly (readonly [what: string, prefix: string, said: Fields, alice: Fields, bob: Fields])[] = [
  ["cookies that are stripped", "/strip", {}, { cookie: "sid=alice" }, { cookie: "sid=bob" }],
  ["cookies that are not keyed", "/keyed", {}, { cookie: "sid=alice; lang=de" }, { cookie: "lang=de; sid=bob" }],
  ["cookies that are handed out", "/bare", { "set-cookie": "sid=alice" }, NOBODY, NOBODY],
  ["cookies that Connection names", "/plain", {}, { cookie: "sid=alice", connection: "cookie" }, NOBODY],
  ["parameters that do not count", "/query", {}, NOBODY, NOBODY],
];

it.each(SHARED)("%s: neither the origin nor another sees them", async (_what, prefix, said, alice, bob) => {
  const path = `${prefix}/shared`;
  origin.on(path, ({ headers, url }) => ({ headers: said, body: `${url} ${headers["cookie"]}` }));
  const first = await get(`${path}?utm=alice`, { headers: alice });
  const again = await client.kept(gateway.url, prefix === "/query" ? `${path}?utm=bob` : `${path}?utm=alice`, {
    headers: bob,
  });
  expect([first, again].map(({ headers }) => headers["set-cookie"])).toEqual([undefined, undefined]);
  expect(again.body.equals(first.body)).toBe(true);
  expect(again.body.toString()).not.toMatch(prefix === "/query" ? /utm/ : /sid/);
});

it("gives nobody a cookie or a confirmation that was another's", async () => {
  const path = "/plain/confirmed";
  origin.on(path, (request, count) =>
    request.headers["if-none-match"] === undefined
      ? { headers: { "cache-control": "no-cache", etag: '"1"' }, body: "for all" }
      : { status: 304, headers: { etag: '"1"', ...(count === 2 && { "set-cookie": "sid=alice" }) }, body: "" },
  );
  await get(path);
  await settled();
  const alice = await get(path);
  await settled();
  const bob = await get(path);
  expect([alice, bob].map(({ status, headers, cache }) => [status, headers["set-cookie"], cache])).toEqual([
    [200, ["sid=alice"], "REVALIDATED"],
    [200, undefined, "REVALIDATED"],
  ]);
});

it("keeps nothing on that a confirmation calls private", async () => {
  const path = "/plain/private-now";
  origin.on(path, (request, count) =>
    request.headers["if-none-match"] === undefined
      ? { headers: { "cache-control": "no-cache", etag: '"1"' }, body: `made ${count}` }
      : { status: 304, headers: { "cache-control": "private, max-age=600" }, body: "" },
  );
  await get(path);
  await settled();
  expect((await get(path)).body.toString()).toBe("made 1");
  await settled();
  expect((await get(path)).body.toString()).toBe("made 3");
});

it("bridges an outage for nobody whose request goes past the cache", async () => {
  const path = "/plain/outage";
  origin.on(path, (_request, count) =>
    count === 1 ? { headers: { "cache-control": "max-age=0" }, body: "for all" } : { status: 503, body: "down" },
  );
  await get(path);
  await settled();
  const got = await get(path, { headers: ALICE });
  expect([got.status, got.body.toString(), got.cache]).toEqual([503, "down", "BYPASS"]);
});
