import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as client from "../support/cache-client.ts";
import type { Asking } from "../support/cache-client.ts";
import { startCountingOrigin, type CountingOrigin } from "../support/counting-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { routesTo } from "../support/routes-to.ts";

let origin: CountingOrigin;
let gateway: Gateway;

/** Two isolates, which have no memory in common. */
beforeAll(async () => {
  origin = await startCountingOrigin();
  const to = routesTo(origin);
  const route = (prefix: string, cache: object) => to(prefix, { cache });
  gateway = await startGateway({
    isolates: 2,
    config: {
      allowPrivateTargets: true,
      routes: [
        route("/shop", { ttl: 600 }),
        route("/tagged", { ttl: 600, tags: ["catalogue"] }),
        route("/whole", { ttl: 600 }),
        { ...route("/twice", { ttl: 600 }), id: "beta", headers: { "x-beta": "1" } },
        route("/twice", { ttl: 600 }),
        route("/keyed", { ttl: 600, cookies: { key: ["lang"] } }),
        { id: "none", prefix: "/none", target: origin.url },
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

const base = (isolate: number) => gateway.urls[isolate] ?? "";

async function purge(query: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const { status, body } = await client.get(gateway.url, `/admin/cache-invalidate?${query}`, {
    method: "POST",
    headers: { authorization: `Bearer ${gateway.adminToken}` },
  });
  return { status, body: JSON.parse(body.toString()) };
}

/** Asks until the answer is not the kept one any more; fails after the 2 s that a purge may take. */
async function gone(isolate: number, path: string, asking?: Asking): Promise<string | undefined> {
  for (const clock = client.runningClock(); ;) {
    const askedAt = clock();
    const { cache } = await client.get(base(isolate), path, asking);
    if (cache !== "HIT") return cache;
    if (askedAt > 2_000) throw new Error(`${path} is still kept ${askedAt} ms after its purge`);
  }
}

/** Asks until the answer is another than the old one, also where the other isolate has put it there; fails as above. */
async function replaced(isolate: number, path: string, old: string): Promise<string> {
  for (const clock = client.runningClock(); ;) {
    const askedAt = clock();
    const body = (await client.get(base(isolate), path)).body.toString();
    if (body !== old) return body;
    if (askedAt > 2_000) throw new Error(`${path} is still kept ${askedAt} ms after its purge`);
  }
}

/** Keeps a response where both isolates find it, and says which. */
async function keep(path: string, headers: Record<string, string> = {}): Promise<string> {
  // It answers by path, whatever the query.
  origin.on(path.split("?", 1)[0] ?? "", (_request, count) => ({ headers, body: `answer ${count}` }));
  await client.get(base(0), path);
  const [one, other] = [await client.kept(base(0), path), await client.kept(base(1), path)];
  expect(one.body.equals(other.body)).toBe(true);
  return one.body.toString();
}

/** Keeps a response, purges it, and sees it gone in both isolates. */
async function reaches(path: string, headers: Record<string, string>, query: string): Promise<void> {
  const old = await keep(path, headers);
  const { status } = await purge(query);
  expect(status).toBe(200);
  const bodies = await Promise.all([0, 1].map((isolate) => replaced(isolate, path, old)));
  expect(bodies).not.toContain(old);
}

describe("a purge", () => {
  it.each([
    ["a tag of the origin's", "/shop/tag", { "cache-tag": "shoes, hats" }, "tag=hats"],
    ["a surrogate key", "/shop/surrogate", { "surrogate-key": "a b" }, "tag=b"],
    ["a tag of the route's", "/tagged/own", {}, "tag=catalogue"],
    ["a prefix", "/shop/prefix/deep", {}, "prefix=GET::/shop/prefix"],
    ["a prefix in another spelling", "/shop/caf%C3%A9/a", {}, "prefix=GET::/%2573hop/caf%25c3%25a9"],
    ["a prefix without escapes", "/shop/th%C3%A9/a", {}, "prefix=GET::/shop/th%C3%A9"],
    ["a prefix of a host", "/shop/hosted", {}, "prefix=:gateway.test:/shop/hosted"],
    ["a key", "/shop/key?a=1", {}, `key=${encodeURIComponent("http://gateway.test/shop/key?a=1")}`],
    ["a route", "/whole/route", {}, "route=whole"],
  ])("of %s reaches every isolate within 2 s", (_what, path, headers, query) => reaches(path, headers, query));

  it("reaches every variant, whomever it is for", async () => {
    origin.on("/keyed/a", { headers: { vary: "accept-language" } });
    const askings = ["de", "en"].flatMap((lang) =>
      ["x", "y"].map((language) => ({ headers: { cookie: `lang=${lang}`, "accept-language": language } })),
    );
    for (const asking of askings) {
      await client.get(base(0), "/keyed/a", asking);
      await client.kept(base(0), "/keyed/a", asking);
    }
    await purge(`key=${encodeURIComponent("http://gateway.test/keyed/a")}`);
    const after = await Promise.all(askings.map((asking) => gone(0, "/keyed/a", asking)));
    expect(after).toEqual(["MISS", "MISS", "MISS", "MISS"]);
  });

  it("of a key reaches what another route keeps of it", async () => {
    const asking = { headers: { "x-beta": "1" } };
    await client.get(base(0), "/twice/a", asking);
    await client.kept(base(0), "/twice/a", asking);
    await purge(`key=${encodeURIComponent("http://gateway.test/twice/a")}`);
    expect(await gone(0, "/twice/a", asking)).toBe("MISS");
  });

  it("of a key knows what was asked for by another spelling of its path", async () => {
    const path = "/shop/spelled";
    origin.on(path, { body: "spelled" });
    await client.get(base(0), "/shop/%73pelled");
    await client.kept(base(0), path);
    await purge(`key=${encodeURIComponent("http://gateway.test/shop/spe%6Cled")}`);
    expect(await gone(0, "/shop/s%70elled")).toBe("MISS");
  });

  it("that is soft leaves what the origin may confirm", async () => {
    origin.on("/tagged/soft", ({ headers }) =>
      headers["if-none-match"] === '"1"' ? { status: 304, body: "" } : { headers: { etag: '"1"' }, body: "first" },
    );
    await client.get(base(0), "/tagged/soft");
    for (const isolate of [0, 1]) await client.kept(base(isolate), "/tagged/soft");
    expect((await purge("tag=catalogue&soft=true")).body).toMatchObject({ soft: true });
    expect(await gone(0, "/tagged/soft")).toBe("REVALIDATED");
  });

  it("leaves what it does not mean", async () => {
    await keep("/shop/left", { "cache-tag": "left" });
    await keep("/shop/purged", { "cache-tag": "purged" });
    await purge("tag=purged");
    await gone(0, "/shop/purged");
    expect((await client.get(base(0), "/shop/left")).cache).toBe("HIT");
  });

  it.each([
    ["", 400, "invalid-request"],
    ["tag=a&route=shop", 400, "invalid-request"],
    ["tag=", 400, "invalid-request"],
    ["tags=a", 400, "invalid-request"],
    ["all=yes", 400, "invalid-request"],
    ["all=false", 400, "invalid-request"],
    ["all=true&soft=1", 400, "invalid-request"],
    ["prefix=/shop", 400, "invalid-request"],
    ["prefix=GET::/shop%3Fa=1", 400, "invalid-request"],
    ["prefix=GET::/shop%25", 400, "invalid-request"],
    ["route=another", 404, "not-found"],
    ["key=shop", 400, "invalid-request"],
    ["key=http%3A%2F%2Fgateway.test%2Fnone", 404, "not-found"],
  ])("of %j is refused", async (query, status, code) => {
    const refused = await purge(query);
    expect([refused.status, refused.body["code"]]).toEqual([status, code]);
  });
});

describe("a request that changes what is kept", () => {
  const changing = { method: "POST" };

  it("makes every variant of it useless, in other isolates too", async () => {
    const path = "/shop/changed";
    origin.on(path, ({ headers }) => ({
      headers: { vary: "accept-language" },
      body: headers["accept-language"] ?? "",
    }));
    const askings = ["de", "en"].map((language) => ({ headers: { "accept-language": language } }));
    for (const asking of askings) {
      await client.get(base(0), path, asking);
      for (const isolate of [0, 1]) await client.kept(base(isolate), path, asking);
    }
    await client.get(base(0), path, changing);
    expect(await Promise.all(askings.map((asking) => gone(1, path, asking)))).toEqual(["MISS", "MISS"]);
    // The index that the next fill makes leads to none of the old.
    await client.kept(base(1), path, askings[0]);
    expect((await client.get(base(0), path, { headers: { "accept-language": "fr" } })).cache).toBe("MISS");
  });

  it("lets nothing become kept that was under way", async () => {
    const path = "/shop/under-way";
    const { promise, resolve } = Promise.withResolvers<void>();
    origin.on(path, ({ method }, count) =>
      method === "GET" && count === 1 ? { body: "of before", after: promise } : { body: "of after" },
    );
    const first = client.get(base(0), path);
    await origin.until(path, 1);
    await client.get(base(0), path, changing);
    resolve();
    expect((await first).body.toString()).toBe("of before");
    expect((await client.kept(base(0), path)).body.toString()).toBe("of after");
  });
});

// Last: what the others keep has to survive them.
it("a purge of all reaches every isolate within 2 s", () => reaches("/shop/all", {}, "all=true"));

describe("a request that changes something", () => {
  it("makes useless what is kept for others, in every isolate of the place", async () => {
    const path = "/keyed/changed";
    origin.on(path, ({ method }, count) =>
      method === "POST" ? { status: 204, body: "" } : { body: `answer ${count}` },
    );
    const askings = ["de", "en"].map((lang) => ({ headers: { cookie: `lang=${lang}` } }));
    for (const asking of askings) {
      await client.get(base(1), path, asking);
      await client.kept(base(1), path, asking);
    }
    await client.get(base(0), path, { method: "POST" });
    expect(await Promise.all(askings.map((asking) => gone(1, path, asking)))).toEqual(["MISS", "MISS"]);
  });
});
