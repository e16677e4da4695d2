import { afterAll, beforeAll, expect, it } from "vitest";
import * as client from "../support/cache-client.ts";
import type { Asking } from "../support/cache-client.ts";
import { startCountingOrigin, type CountingOrigin, type Reply } from "../support/counting-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { routesTo } from "../support/routes-to.ts";
import { ALICE, APART, NOBODY, type Fields } from "./principals.table.ts";

let origin: CountingOrigin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await startCountingOrigin();
  const to = routesTo(origin);
  const route = (prefix: string, cache: object) => to(prefix, { cache });
  // The same once more where requests may share the answer to one of them.
  const withShared = <R extends { readonly id: string; readonly prefix: string }>(routes: readonly R[]) => [
    ...routes,
    ...routes.map((one) => ({
      ...one,
      id: `shared-${one.id}`,
      prefix: `/shared${one.prefix}`,
      deduplication: true,
    })),
  ];
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      routes: withShared([
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
      ]),
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

const get = (path: string, asking?: Asking) => client.get(gateway.url, path, asking);
const settled = () => client.settled(gateway.url, "/plain", origin);

const ROWS = APART.map((row) => ({ what: row[0], row }));

it.each(ROWS)("$what keeps two apart", async ({ row }) => {
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

it.each(ROWS)("$what keeps two apart who ask at once", async ({ row }) => {
  const [what, prefix, said, alice = NOBODY, bob = NOBODY] = row;
  const path = `${prefix}/at-once-${what.replaceAll(/\W+/g, "-")}`;
  const { promise: joined, resolve: answerAlice } = Promise.withResolvers<void>();
  origin.on(path, (_request, count) =>
    count === 1
      ? { headers: said, body: "for alice", after: joined }
      : { headers: { "cache-control": "no-store" }, body: "for another" },
  );
  const first = get(`/shared${path}`, { headers: alice });
  await origin.until(path, 1);
  const second = get(`/shared${path}`, { headers: bob });
  // What is asked after it the gateway has read after it.
  for (let round = 0; round < 2; round += 1) await get("/plain/none");
  answerAlice();
  const [own, got] = await Promise.all([first, second]);
  expect([own.body.toString(), got.body.toString()]).toEqual(["for alice", "for another"]);
  expect(JSON.stringify(got.headers)).not.toContain("alice");
});

/** Pairs for whom the cache has entries of their own: a token, a cookie, a field that the response varies by. */
const OWN: readonly (readonly [what: string, prefix: string, said: Fields, alice: Fields, bob: Fields])[] = [
  ["two tokens", "/each", {}, { authorization: "Bearer alice" }, { authorization: "Bearer bob" }],
  ["a token and none", "/each", {}, { authorization: "Bearer alice" }, NOBODY],
  ["two cookies", "/keyed", {}, { cookie: "lang=alice" }, { cookie: "lang=bob" }],
  ["a field and another", "/plain", { vary: "X-User" }, { "x-user": "alice" }, { "x-user": "bob" }],
];
/** How the second asks for what is kept for the first, fresh or stale, and what he must get: his own, or his own refusal. */
const WAYS: readonly (readonly [how: string, control: string, asking: Asking, reply: Reply, gets: string])[] = [
  ["asks plainly", "max-age=600", {}, { body: "for bob" }, "200 for bob"],
  ["asks by HEAD", "max-age=600", { method: "HEAD" }, { body: "" }, "200 "],
  ["asks for a part", "max-age=600", { headers: { range: "bytes=4-8" } }, { body: "for bob" }, "200 for bob"],
  [
    "names the other's tag",
    "max-age=600",
    { headers: { "if-none-match": '"alice"' } },
    { body: "for bob" },
    "200 for bob",
  ],
  ["asks while the other's is stale", "max-age=0, stale-while-revalidate=600", {}, { body: "for bob" }, "200 for bob"],
  ["asks where the other's has to be confirmed", "no-cache", {}, { body: "for bob" }, "200 for bob"],
  ["asks an origin that fails", "max-age=0, stale-if-error=600", {}, { status: 503, body: "down" }, "503 down"],
  ["asks an origin that is gone", "max-age=0", {}, { isGone: true }, "502"],
];

it.each(OWN.flatMap((pair) => WAYS.map((way) => ({ pair, way, what: pair[0], how: way[0] }))))(
  "$what: who $how gets nothing of the other's",
  async ({ pair: [what, prefix, said, alice, bob], way: [how, control, asking, reply, gets] }) => {
    const path = `${prefix}/${what}-${how}`.replaceAll(/[^\w/]+/g, "-");
    origin.on(path, ({ headers }, count) =>
      count === 1
        ? { headers: { ...said, "cache-control": control, etag: '"alice"', "x-who": "alice" }, body: "for alice" }
        : { ...reply, headers: { ...said, etag: '"bob"', "x-asked": JSON.stringify(headers) } },
    );
    await get(path, { headers: alice });
    await settled();
    const got = await get(path, { ...asking, headers: { ...bob, ...asking.headers } });
    const shown = `${got.status} ${got.body.toString()}`;
    expect(gets === "502" ? String(got.status) : shown).toBe(gets);
    // Nor does the origin hear what is kept for the other.
    const { "if-none-match": _named, ...heard } = origin.asked(path).at(-1)?.headers ?? {};
    expect(JSON.stringify([got.headers["etag"], got.headers["x-who"], got.headers.age, heard])).not.toContain("alice");
    expect(origin.asked(path).length).toBe(2);
  },
);

it("an origin's count of what one has left is nobody else's", async () => {
  const path = "/plain/quota";
  const told = { ratelimit: '"alice";r=1', "x-ratelimit-remaining": "1", "ratelimit-policy": '"alice";q=2' };
  origin.on(path, { headers: { ...told, "cache-control": "max-age=600" } });
  expect((await get(path)).headers).toMatchObject(told);
  expect(JSON.stringify((await client.kept(gateway.url, path)).headers)).not.toContain("alice");
  const { promise: joined, resolve: answerBoth } = Promise.withResolvers<void>();
  origin.on("/plain/quota-at-once", { headers: { ...told, "cache-control": "max-age=600" }, after: joined });
  const first = get("/shared/plain/quota-at-once");
  await origin.until("/plain/quota-at-once", 1);
  const second = get("/shared/plain/quota-at-once");
  for (let round = 0; round < 2; round += 1) await get("/plain/none");
  answerBoth();
  expect((await first).headers).toMatchObject(told);
  expect(JSON.stringify((await second).headers)).not.toContain("alice");
});

/** What a route takes out so that it can be shared. */
const SHARED: readonly (readonly [what: string, prefix: string, said: Fields, alice: Fields, bob: Fields])[] = [
  ["cookies that are stripped", "/strip", {}, { cookie: "sid=alice" }, { cookie: "sid=bob" }],
  ["cookies that are not keyed", "/keyed", {}, { cookie: "sid=alice; lang=de" }, { cookie: "lang=de; sid=bob" }],
  [
    "cookies that are handed out",
    "/bare",
    { "set-cookie": "sid=alice", "set-cookie2": "sid=alice", "cache-control": "max-age=600" },
    NOBODY,
    NOBODY,
  ],
  ["cookies that Connection names", "/plain", {}, { cookie: "sid=alice", connection: "cookie" }, NOBODY],
  ["parameters that do not count", "/query", {}, NOBODY, NOBODY],
];

it.each(SHARED)("%s: neither the origin nor another sees them", async (_what, prefix, said, alice, bob) => {
  const path = `${prefix}/shared`;
  origin.on(path, ({ headers, url }) => ({ headers: said, body: `${url} ${headers["cookie"]}` }));
  const first = await get(`${path}?utm=alice`, { headers: alice });
  expect(first.headers["set-cookie2"]).toBe(undefined);
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
