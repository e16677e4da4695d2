import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { get, kept, settled, type Asking, type Got } from "../support/cache-client.ts";
import { startCountingOrigin, type CountingOrigin, type Reply } from "../support/counting-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { routesTo } from "../support/routes-to.ts";

let origin: CountingOrigin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await startCountingOrigin();
  const route = routesTo(origin);
  gateway = await startGateway({
    isolates: 4,
    config: {
      allowPrivateTargets: true,
      routes: [
        route("/kept", { cache: { ttl: 600 }, deduplication: true }),
        route("/stripped", { cache: { stripSetCookie: true, cookies: "strip" }, deduplication: true }),
        route("/plain", { deduplication: true }),
        route("/short", { deduplication: { windowMs: 0 } }),
        route("/early", { deduplication: { coalesce: "arrived-before-headers" } }),
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

/** More than what is read whole before anything of it is passed on. */
const LONG = "x".repeat(70_000);
const FRESH = { "cache-control": "max-age=600" };

/** Something that is let happen by hand. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

/** So many clients at once, over all isolates. */
function crowd(count: number, path: string, each: (index: number) => Asking = () => ({})): Promise<Got>[] {
  const { urls } = gateway;
  return Array.from({ length: count }, (_, index) => get(urls[index % urls.length] ?? "", path, each(index)));
}

/** The same, of whom the origin answers nobody before all have come. */
async function together(
  count: number,
  path: string,
  reply: (request: IncomingMessage, nth: number) => Reply,
  each?: (index: number) => Asking,
) {
  const head = gate();
  origin.on(path, (request, nth) => ({ after: head.opened, ...reply(request, nth) }));
  const asking = crowd(count, path, each);
  await joined(path, count);
  head.open();
  return Promise.all(asking);
}

/** Resolves once so many wait. The gateway has no sign of it: what it is asked after them it has read after them. */
async function joined(path: string, count: number): Promise<void> {
  await origin.until(path, 1);
  for (let round = 0; round < 3; round += 1) await Promise.all(crowd(count, "/none"));
}

function tally(all: readonly unknown[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const one of all) counts[String(one)] = (counts[String(one)] ?? 0) + 1;
  return counts;
}

const statuses = (all: readonly Got[]) => tally(all.map(({ headers }) => headers["cache-status"]));

/** Asks, and resolves with the answer once its head is there. */
async function openAnswer(base: string, path: string) {
  const asking = httpRequest(base + path, { headers: { host: "gateway.test" }, agent: false });
  // One that is destroyed says so.
  asking.on("error", () => {});
  asking.end();
  const [answer]: IncomingMessage[] = await once(asking, "response");
  if (answer === undefined) throw new Error("there is no answer");
  return { asking, answer };
}

async function rest(answer: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of answer) text += String(chunk);
  return text;
}

it("asks the origin once for what many ask for at the same time, and keeps it", async () => {
  const path = "/kept/once";
  const all = await together(100, path, () => ({ headers: FRESH, body: "for all" }));
  expect(tally(all.map(({ status, body }) => `${status} ${body.toString()}`))).toEqual({ "200 for all": 100 });
  expect(statuses(all)).toEqual({
    "sluice;fwd=uri-miss;fwd-status=200;stored": 1,
    "sluice;fwd=uri-miss;fwd-status=200;stored;collapsed": 99,
  });
  await kept(gateway.url, path);
  expect(origin.asked(path).length).toBe(1);
  const flights = gateway.logs().filter((line) => line["path"] === path);
  expect(tally(flights.map(({ flight }) => flight))).toMatchObject({ led: 1, joined: 99 });
});

// Second: what others do counts too.
it("counts what it spared the origin, over all isolates", async () => {
  const counted = async () => {
    // An isolate tells what it has counted when it asks for purges, which it does behind an answer.
    await Promise.all(crowd(4, "/kept/once"));
    const headers = { authorization: `Bearer ${gateway.adminToken}` };
    return (await fetch(`${gateway.url}/admin/dedup-stats`, { headers })).json();
  };
  await expect.poll(counted, { timeout: 20_000 }).toEqual({
    scope: expect.any(String),
    since: expect.any(String),
    leaders: 1,
    followers: 99,
    hitForMiss: 0,
    failed: 0,
    withoutOwner: 0,
    upstreamRequestsSaved: 99,
  });
});

it("asks once for each variant", async () => {
  const path = "/kept/variants";
  const all = await together(
    50,
    path,
    ({ headers }) => ({ headers: { ...FRESH, vary: "accept-language" }, body: `in ${headers["accept-language"]}` }),
    (index) => ({ headers: { "accept-language": `x-${index % 5}` } }),
  );
  expect(tally(all.map(({ body }) => body.toString()))).toEqual(
    Object.fromEntries([0, 1, 2, 3, 4].map((one) => [`in x-${one}`, 10])),
  );
  expect(origin.asked(path).length).toBe(5);
});

it.each<[string, Record<string, string>]>([
  ["private", { "cache-control": "private, max-age=600" }],
  ["no-store", { "cache-control": "no-store" }],
  ["a cookie", { "cache-control": "public, max-age=600" }],
  ["nothing that is said of it", {}],
  ["vary by everything", { ...FRESH, vary: "*" }],
  ["no-cache", { "cache-control": "no-cache" }],
])("gives nobody but its owner what %s makes his own", async (what, headers) => {
  const path = `/plain/own-${what.replaceAll(" ", "-")}`;
  const all = await together(50, path, (_request, nth) => ({
    headers: { ...headers, "set-cookie": `sid=${nth}` },
    body: `of ${nth}`,
  }));
  const got = all.map((one) => `${one.headers["set-cookie"]?.join()} ${one.body.toString()}`);
  expect(new Set(got).size).toBe(50);
  expect(got.filter((one) => /^sid=(\d+) of \1$/.test(one)).length).toBe(50);
  expect(origin.asked(path).length).toBe(50);
  // Known from then on: the owner is not even asked.
  expect((await get(gateway.url, path)).headers["cache-status"]).toBe(
    "sluice;fwd=uri-miss;collapsed=?0;detail=hit-for-miss",
  );
});

it("shares again what can be shared again", async () => {
  const path = "/plain/again";
  origin.on(path, (_request, nth) => ({ headers: nth === 1 ? { "cache-control": "private" } : FRESH }));
  const own = await get(gateway.url, path);
  const first = await get(gateway.url, path);
  expect([own, first].map(({ headers }) => headers["cache-status"])).toEqual([
    "sluice;fwd=uri-miss;detail=private",
    "sluice;fwd=uri-miss;collapsed=?0;detail=hit-for-miss",
  ]);
  const again = async () => (await get(gateway.url, path)).headers["cache-status"];
  await expect.poll(again, { timeout: 20_000 }).toBe("sluice;fwd=uri-miss;collapsed");
});

it("asks once though the client leaves that was first", async () => {
  const path = "/kept/left";
  const head = gate();
  origin.on(path, { after: head.opened, headers: FRESH, body: "for all" });
  const leader = httpRequest(gateway.url + path, { headers: { host: "gateway.test" }, agent: false });
  leader.on("error", () => {});
  leader.end();
  await origin.until(path, 1);
  const asking = crowd(20, path);
  await joined(path, 20);
  leader.socket?.resetAndDestroy();
  await joined(path, 20);
  head.open();
  expect(tally((await Promise.all(asking)).map(({ body }) => body.toString()))).toEqual({ "for all": 20 });
  expect(origin.asked(path).length).toBe(1);
});

it("gives up a request that nobody waits for any more", async () => {
  const path = "/kept/abandoned";
  origin.on(path, { after: new Promise(() => {}) });
  const clients = gateway.urls.map((url) =>
    httpRequest(url + path, { headers: { host: "gateway.test" }, agent: false }),
  );
  for (const client of clients) client.on("error", () => {}).end();
  await joined(path, 4);
  const [asked] = origin.asked(path);
  for (const client of clients) client.socket?.resetAndDestroy();
  if (asked?.socket.destroyed === false) await once(asked.socket, "close");
  expect(origin.asked(path).length).toBe(1);
});

it("gives each part of a body as it comes, from its first byte to those who come late", async () => {
  const path = "/kept/streamed";
  const end = gate();
  origin.on(path, { held: { after: 5, until: end.opened }, headers: FRESH, body: `first${LONG}` });
  const answers = [await openAnswer(gateway.url, path)];
  for (const url of gateway.urls.slice(1)) answers.push(await openAnswer(url, path));
  for (const { answer } of answers) {
    const [first]: Buffer[] = await once(answer, "data");
    expect(first?.toString()).toBe("first");
  }
  end.open();
  expect(await Promise.all(answers.map(({ answer }) => rest(answer)))).toEqual([LONG, LONG, LONG, LONG]);
  expect(origin.asked(path).length).toBe(1);
});

it("keeps what nobody reads to its end", async () => {
  const path = "/kept/unread";
  const end = gate();
  origin.on(path, { held: { after: 5, until: end.opened }, headers: FRESH, body: `first${LONG}` });
  const { asking, answer } = await openAnswer(gateway.url, path);
  await once(answer, "data");
  asking.socket?.resetAndDestroy();
  await joined(path, 20);
  end.open();
  expect((await kept(gateway.url, path)).body.toString()).toBe(`first${LONG}`);
  expect(origin.asked(path).length).toBe(1);
});

it.each([
  ["with its length", { "content-length": "200000" }],
  ["without it", {}],
])("breaks off whoever reads a body that breaks off, %s, and keeps none of it", async (what, headers) => {
  const path = `/kept/cut-${what.replaceAll(" ", "-")}`;
  const whole = "x".repeat(200_000);
  origin.on(path, (_request, nth) => ({
    headers: { ...FRESH, ...headers },
    body: whole,
    ...(nth === 1 && { cutAfter: 150_000 }),
  }));
  const outcomes = await Promise.allSettled(crowd(8, path));
  expect(tally(outcomes.map(({ status }) => status))).toEqual({ rejected: 8 });
  await settled(gateway.url, "/kept", origin);
  const again = await get(gateway.url, path);
  expect([again.cache, again.body.length]).toEqual(["MISS", 200_000]);
});

it("passes coded bodies on as they are", async () => {
  const path = "/kept/coded";
  const text = "coded ".repeat(20_000);
  const body = gzipSync(text);
  const all = await together(
    8,
    path,
    () => ({ headers: { ...FRESH, "content-encoding": "gzip" }, body }),
    () => ({ headers: { "accept-encoding": "gzip" } }),
  );
  for (const one of all) expect(gunzipSync(one.body).toString() === text).toBe(true);
  expect(origin.asked(path).length).toBe(1);
});

it("refreshes what is stale once, whichever isolates give it", async () => {
  const path = "/kept/stale";
  const head = gate();
  origin.on(path, (_request, nth) => ({
    headers: { "cache-control": `max-age=${nth === 1 ? 1 : 600}, stale-while-revalidate=600` },
    body: `made ${nth}`,
    ...(nth > 1 && { after: head.opened }),
  }));
  await get(gateway.url, path);
  await expect.poll(async () => (await get(gateway.url, path)).cache, { timeout: 10_000 }).toBe("STALE");
  const stale = await Promise.all(crowd(40, path));
  expect(tally(stale.map(({ cache, body }) => `${cache} ${body.toString()}`))).toEqual({ "STALE made 1": 40 });
  head.open();
  const fresh = async () => (await get(gateway.url, path)).body.toString();
  await expect.poll(fresh, { timeout: 20_000 }).toBe("made 2");
  expect(origin.asked(path).length).toBe(2);
});

it("confirms what is kept once, for all that wait", async () => {
  const path = "/kept/confirmed";
  const head = gate();
  origin.on(path, ({ headers }, nth) => {
    if (nth === 1) return { headers: { "cache-control": "max-age=1", etag: '"1"' }, body: "the same" };
    const isAsked = headers["if-none-match"] === '"1"';
    return { status: isAsked ? 304 : 500, headers: { ...FRESH, etag: '"1"' }, body: "", after: head.opened };
  });
  await get(gateway.url, path);
  // Whoever asked whether its time is over would make the request that is to be counted.
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const asking = crowd(20, path);
  await joined(path, 20);
  head.open();
  const all = await Promise.all(asking);
  expect(tally(all.map(({ status, body }) => `${status} ${body.toString()}`))).toEqual({ "200 the same": 20 });
  expect(origin.asked(path).length).toBe(2);
});

it("judges each client's own condition by what came for all", async () => {
  const path = "/plain/condition";
  const all = await together(
    12,
    path,
    () => ({ headers: { ...FRESH, etag: '"1"' }, body: "for all" }),
    (index) => ({ headers: index % 2 === 0 ? { "if-none-match": '"1"' } : {} }),
  );
  expect(tally(all.map(({ status }) => status))).toEqual({ 200: 6, 304: 6 });
  expect(origin.asked(path).map(({ headers }) => headers["if-none-match"])).toEqual([undefined]);
});

it("tells who comes late how old it is", async () => {
  const path = "/plain/aged";
  origin.on(path, { headers: { ...FRESH, age: "100" } });
  const first = await get(gateway.url, path);
  const late = await get(gateway.urls[1] ?? "", path);
  expect([first.headers.age, Number(late.headers.age) >= 100]).toEqual(["100", true]);
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  expect(Number((await get(gateway.urls[2] ?? "", path)).headers.age)).toBeGreaterThanOrEqual(101);
});

it("answers who comes late within the window, and asks again where there is none", async () => {
  origin.on("/plain/late", { headers: FRESH });
  origin.on("/short/late", { headers: FRESH });
  for (const prefix of ["/plain", "/short"]) {
    const first = await get(gateway.url, `${prefix}/late`);
    const second = await get(gateway.urls[1] ?? "", `${prefix}/late`);
    const isShared = prefix === "/plain";
    expect([first.body.toString(), second.body.toString()]).toEqual(isShared ? ["1", "1"] : ["1", "2"]);
  }
});

it.each(["/kept", "/plain"])("gives nobody under %s after a POST what was asked for before it", async (prefix) => {
  const path = `${prefix}/posted`;
  origin.on(path, ({ method }, nth) => ({ headers: FRESH, body: `${method} ${nth}` }));
  const before = await get(gateway.url, path);
  await get(gateway.url, path, { method: "POST", body: "x" });
  // What is asked for in the very millisecond of a POST counts as from before it, which costs one request more.
  await new Promise((resolve) => setTimeout(resolve, 5));
  const after = await Promise.all([0, 1, 2].map(() => get(gateway.url, path)));
  expect([before, ...after].map(({ body }) => body.toString())).toEqual(["GET 1", "GET 3", "GET 3", "GET 3"]);
});

it("shares what is stale on arrival with those who have been waiting, where the route says so", async () => {
  const all = await together(20, "/early/stale", (_request, nth) => ({ body: `made ${nth}` }));
  expect(tally(all.map(({ body }) => body.toString()))).toEqual({ "made 1": 20 });
  expect((await get(gateway.url, "/early/stale")).body.toString()).toBe("made 2");
  const own = await together(20, "/early/own", (_request, nth) => ({ headers: { "set-cookie": `sid=${nth}` } }));
  expect(new Set(own.map(({ headers }) => headers["set-cookie"]?.join())).size).toBe(20);
});

it("takes cookies out of what is shared, for the first one too", async () => {
  const path = "/stripped/cookies";
  const all = await together(
    20,
    path,
    ({ headers }) => ({ headers: { ...FRESH, "set-cookie": "sid=1" }, body: `asked with ${headers["cookie"]}` }),
    (index) => ({ headers: { cookie: `sid=${index}` } }),
  );
  const got = all.map(({ headers, body }) => `${headers["set-cookie"]?.join()} ${body.toString()}`);
  expect(tally(got)).toEqual({ "undefined asked with undefined": 20 });
  expect(origin.asked(path).length).toBe(1);
});

it("gives those who wait an error of their own where the origin answers one, after one more try", async () => {
  const path = "/kept/down";
  const all = await together(20, path, () => ({ status: 500, body: "down" }));
  expect(tally(all.map(({ status, headers }) => `${status} ${headers["retry-after"]}`))).toEqual({
    "500 undefined": 2,
    "503 1": 18,
  });
  expect(origin.asked(path).length).toBe(2);
});

it("fails for all at once where the origin is gone", async () => {
  const path = "/kept/gone";
  const all = await together(20, path, () => ({ isGone: true }));
  expect(tally(all.map(({ status }) => status))).toEqual({ 502: 20 });
  expect(origin.asked(path).length).toBe(1);
});

it("asks by itself for what is too large to be kept whole", async () => {
  const path = "/plain/large";
  const body = Buffer.alloc(9 * 2 ** 20, "x");
  const all = await together(3, path, () => ({ headers: { ...FRESH, "content-length": String(body.length) }, body }));
  expect(all.map((one) => one.body.length)).toEqual([body.length, body.length, body.length]);
  expect(origin.asked(path).length).toBe(3);
});
