import { afterAll, beforeAll, expect, it } from "vitest";
import { get, kept, type Asking, type Got } from "../support/cache-client.ts";
import { startCountingOrigin, type CountingOrigin } from "../support/counting-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { routesTo } from "../support/routes-to.ts";

let origin: CountingOrigin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await startCountingOrigin();
  const route = routesTo(origin);
  gateway = await startGateway({
    isolates: 4,
    entry: "tests/support/flights-entry.ts",
    config: {
      allowPrivateTargets: true,
      routes: [
        route("/kept", { cache: { ttl: 600, authorization: "key", cookies: { key: ["lang"] } }, deduplication: true }),
        route("/public", { cache: { ttl: 600, authorization: "public" }, deduplication: true }),
        route("/plain", { deduplication: true }),
        route("/early", { deduplication: { coalesce: "arrived-before-headers" } }),
        {
          ...route("/limited", { deduplication: true }),
          rateLimit: { requestsPerWindow: 10_000, windowSeconds: 60, by: "header:x-team" },
        },
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

const FRESH = { "cache-control": "max-age=600" };

function crowd(count: number, path: string, each: (index: number) => Asking = () => ({})): Promise<Got>[] {
  const { urls } = gateway;
  return Array.from({ length: count }, (_, index) => get(urls[index % urls.length] ?? "", path, each(index)));
}

/** Something that is let happen by hand. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

/** What the log says of the requests for a path, once there are so many. */
async function logged(path: string, count: number): Promise<readonly Record<string, unknown>[]> {
  const lines = () => gateway.logs().filter((line) => line["path"] === path);
  await expect.poll(() => lines().length, { timeout: 10_000 }).toBe(count);
  return lines();
}

it.each(["silent", "broken"])("asks the origin without an owner that is %s, and says so", async (fault) => {
  const path = `/plain/${fault}-owner`;
  origin.on(path, (_request, nth) => ({ headers: FRESH, body: `made ${nth}` }));
  const all = await Promise.all(crowd(4, path));
  expect(new Set(all.map(({ status, body }) => `${status} ${body.toString()}`)).size).toBe(4);
  const lines = await logged(path, 4);
  expect(lines.map(({ degraded }) => degraded)).toEqual(Array.from({ length: 4 }, () => ["flights"]));
});

it("asks once more where the owner has lost its memory, and nobody is the worse for it", async () => {
  const path = "/plain/lost-owner";
  const head = gate();
  origin.on(path, { after: head.opened, headers: FRESH, body: "for all" });
  const asking = crowd(40, path);
  await origin.until(path, 1);
  await get(gateway.url, "/none", { headers: { "x-test-lose": path } });
  await origin.until(path, 2);
  head.open();
  const all = await Promise.all(asking);
  expect(new Set(all.map(({ status, body }) => `${status} ${body.toString()}`))).toEqual(new Set(["200 for all"]));
  expect(origin.asked(path).length).toBe(2);
});

it("gives nobody who comes after a purge what was asked for before it", async () => {
  const path = "/kept/purged";
  const head = gate();
  origin.on(path, (_request, nth) => ({
    headers: { ...FRESH, "cache-tag": "purged" },
    body: `made ${nth}`,
    ...(nth === 1 && { after: head.opened }),
  }));
  const asking = crowd(8, path);
  await origin.until(path, 1);
  const purged = await get(gateway.url, "/admin/cache-invalidate?tag=purged", {
    method: "POST",
    headers: { authorization: `Bearer ${gateway.adminToken}` },
  });
  expect(purged.status).toBe(200);
  // What every isolate knows by then.
  await new Promise((resolve) => setTimeout(resolve, 3_100));
  head.open();
  // Whoever made the request has its response; who waited for it is asked for once more.
  const early = await Promise.all(asking);
  expect(early.map(({ body }) => body.toString()).toSorted()).toEqual([
    "made 1",
    ...Array.from({ length: 7 }, () => "made 2"),
  ]);
  const late = await Promise.all(crowd(8, path));
  expect(late.map(({ body }) => body.toString())).toEqual(Array.from({ length: 8 }, () => "made 2"));
  expect((await kept(gateway.url, path)).body.toString()).toBe("made 2");
  expect(origin.asked(path).length).toBe(2);
});

type Fields = Readonly<Record<string, string>>;

/** What an origin says, and how two ask it at the same time: neither may have anything of the other. */
type Apart = readonly [what: string, prefix: string, said: Fields, alice: Fields, bob: Fields];
const APART: readonly Apart[] = [
  ["private", "/plain", { "cache-control": "private, max-age=600" }, {}, {}],
  ["private where what is stale is shared", "/early", { "cache-control": "private" }, {}, {}],
  ["no-store where what is stale is shared", "/early", { "cache-control": "no-store" }, {}, {}],
  ["no-cache where what is stale is shared", "/early", { "cache-control": "no-cache" }, {}, {}],
  ["private in other letters", "/kept", { "cache-control": "Private, max-age=600" }, {}, {}],
  ["private to us", "/kept", { "cache-control": "max-age=600", "sluice-cache-control": "private" }, {}, {}],
  ["vary by everything", "/early", { vary: "*" }, {}, {}],
  ["vary by what is no name", "/early", { vary: "accept language" }, {}, {}],
  ["vary by a field", "/plain", { ...FRESH, vary: "X-User" }, { "x-user": "alice" }, { "x-user": "bob" }],
  ["vary by a field that one lacks", "/plain", { ...FRESH, vary: "X-User" }, { "x-user": "alice" }, {}],
  ["vary by what the gateway says", "/plain", { ...FRESH, vary: "X-Request-ID" }, {}, {}],
  ["cookies of both", "/plain", FRESH, { cookie: "sid=alice" }, { cookie: "sid=bob" }],
  ["a cookie of one", "/plain", FRESH, { cookie: "sid=alice" }, {}],
  ["keyed cookies", "/kept", FRESH, { cookie: "lang=alice" }, { cookie: "lang=bob" }],
  ["credentials of both", "/plain", FRESH, { authorization: "Bearer alice" }, { authorization: "Bearer bob" }],
  ["credentials of one", "/plain", FRESH, { authorization: "Bearer alice" }, {}],
  ["credentials that are keyed", "/kept", FRESH, { authorization: "Bearer alice" }, { authorization: "Bearer bob" }],
  ["credentials nobody shares", "/public", FRESH, { authorization: "Bearer alice" }, { authorization: "Bearer bob" }],
  ["an API key", "/plain", FRESH, { "x-api-key": "alice" }, { "x-api-key": "bob" }],
  ["what a limit tells clients apart by", "/limited", FRESH, { "x-team": "alice" }, { "x-team": "bob" }],
  ["a range", "/plain", FRESH, { range: "bytes=0-1" }, {}],
  ["a condition", "/plain", { "cache-control": "private", etag: '"1"' }, { "if-none-match": '"2"' }, {}],
];

it.each(APART.map((row) => ({ what: row[0], row })))("$what keeps two apart that ask at once", async ({ row }) => {
  const [what, prefix, said, alice, bob] = row;
  const path = `${prefix}/${what.replaceAll(/\W+/g, "-")}`;
  const head = gate();
  origin.on(path, (_request, nth) => ({ after: head.opened, headers: said, body: `made ${nth}` }));
  const [url = "", other = ""] = gateway.urls;
  const first = get(url, path, { headers: alice });
  await origin.until(path, 1);
  const second = get(other, path, { headers: bob });
  await get(other, "/none");
  head.open();
  const got = [await first, await second].map(({ body }) => body.toString());
  expect(new Set(got)).toEqual(new Set(["made 1", "made 2"]));
});
