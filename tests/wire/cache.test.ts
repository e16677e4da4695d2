import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as client from "../support/cache-client.ts";
import type { Asking } from "../support/cache-client.ts";
import { startCountingOrigin, type CountingOrigin } from "../support/counting-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { routesTo } from "../support/routes-to.ts";

let origin: CountingOrigin;
let gateway: Gateway;

const FRESH = { "cache-control": "max-age=600" };

beforeAll(async () => {
  origin = await startCountingOrigin();
  const to = routesTo(origin);
  const route = (prefix: string, cache: object) => to(prefix, { cache });
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      backends: {
        bound: { targets: [{ url: `${origin.url}/one` }, { url: `${origin.url}/two` }], sticky: true },
      },
      routes: [
        route("/plain", { enabled: true }),
        route("/ttl", { ttl: 300 }),
        route("/strip", { cookies: "strip" }),
        route("/keyed", { cookies: { key: ["lang"] } }),
        route("/public", { authorization: "public" }),
        route("/each", { authorization: "key" }),
        route("/bare", { stripSetCookie: true }),
        route("/asked", { respectRequestDirectives: true }),
        route("/query", { query: { without: ["utm"], sorted: true } }),
        route("/small", { maxBodySize: 1000 }),
        { prefix: "/bound", backend: "bound", cache: true },
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

const get = (path: string, asking?: Asking) => client.get(gateway.url, path, asking);
const kept = (path: string, asking?: Asking) => client.kept(gateway.url, path, asking);
const settled = () => client.settled(gateway.url, "/plain", origin);

/** The bodies that requests get one after the other, each when what the one before left is there. */
async function bodiesOf(path: string, askings: readonly Asking[]): Promise<readonly string[]> {
  const bodies: string[] = [];
  for (const asking of askings) {
    bodies.push((await get(path, asking)).body.toString());
    await settled();
  }
  return bodies;
}

describe("a cached response", () => {
  it("is given with its age and without the origin", async () => {
    origin.on("/plain/a", { headers: { ...FRESH, "content-type": "text/plain", "cache-tag": "x" } });
    const first = await get("/plain/a");
    expect([first.cache, first.headers["cache-status"], first.headers["cache-tag"]]).toEqual([
      "MISS",
      "sluice; fwd=uri-miss; fwd-status=200; stored".replaceAll("; ", ";"),
      undefined,
    ]);
    const again = await kept("/plain/a");
    expect(again.body.toString()).toBe(first.body.toString());
    expect(again.headers["age"]).toMatch(/^\d+$/);
    expect(again.headers["cache-status"]).toMatch(/^sluice;hit;ttl=\d+;detail=colo$/);
    expect([again.headers["content-type"], again.headers["content-length"]]).toEqual(["text/plain", "1"]);
  });

  it("keeps the origin's coding, byte for byte", async () => {
    const bytes = gzipSync("x".repeat(5000));
    origin.on("/plain/coded", { headers: { ...FRESH, "content-encoding": "gzip" }, body: bytes });
    const asking = { headers: { "accept-encoding": "gzip" } };
    await get("/plain/coded", asking);
    const again = await kept("/plain/coded", asking);
    expect([again.headers["content-encoding"], again.body.equals(bytes)]).toEqual(["gzip", true]);
  });

  it("may be long", async () => {
    const bytes = Buffer.from(Array.from({ length: 700_000 }, (_, index) => index % 251));
    origin.on("/plain/long", { headers: { ...FRESH, etag: '"l"' }, body: bytes });
    const first = await get("/plain/long");
    const again = await kept("/plain/long");
    expect([first.body.equals(bytes), again.body.equals(bytes)]).toEqual([true, true]);
    const part = await kept("/plain/long", { headers: { range: "bytes=300000-300009" } });
    expect([part.status, part.headers["content-range"], part.body]).toEqual([
      206,
      "bytes 300000-300009/700000",
      bytes.subarray(300_000, 300_010),
    ]);
  });

  it("answers HEAD, ranges and conditions", async () => {
    origin.on("/plain/parts", { headers: { ...FRESH, etag: '"v1"' }, body: "0123456789" });
    await get("/plain/parts");
    await kept("/plain/parts");
    const head = await get("/plain/parts", { method: "HEAD" });
    const part = await get("/plain/parts", { headers: { range: "bytes=2-4" } });
    const beyond = await get("/plain/parts", { headers: { range: "bytes=20-" } });
    const same = await get("/plain/parts", { headers: { "if-none-match": '"v1"' } });
    expect([head, part, beyond, same].map(({ status, body, cache }) => [status, body.toString(), cache])).toEqual([
      [200, "", "HIT"],
      [206, "234", "HIT"],
      [416, "", "HIT"],
      [304, "", "HIT"],
    ]);
    expect(head.headers["content-length"]).toBe("10");
    expect(origin.asked("/plain/parts").length).toBe(1);
  });

  it("is the same for everyone who asks the same, on any connection", async () => {
    origin.on("/ttl/a", { headers: { "content-type": "text/plain" } });
    await get("/ttl/a");
    const again = await kept("/ttl/a", { headers: { "user-agent": "another", "cache-control": "no-cache" } });
    expect(again.body.toString()).toBe("1");
  });

  it("is another for another variant, however the preferences are written", async () => {
    origin.on("/plain/vary", (request) => ({
      headers: { ...FRESH, vary: "Accept-Language" },
      body: `${request.headers["accept-language"]}`,
    }));
    const speak = (language: string) => ({ headers: { "accept-language": language } });
    const languages = ["de", "en, fr", "FR,en", "de"].map(speak);
    expect(await bodiesOf("/plain/vary", languages)).toEqual(["de", "en, fr", "en, fr", "de"]);
    expect(origin.asked("/plain/vary").length).toBe(2);
  });

  it("is confirmed by the origin with its validators, not the client's", async () => {
    origin.on("/plain/validated", (request) =>
      request.headers["if-none-match"] === '"v1"'
        ? { status: 304, headers: { etag: '"v1"', "x-news": "yes" }, body: "" }
        : { headers: { "cache-control": "no-cache", etag: '"v1"' }, body: "first" },
    );
    await get("/plain/validated");
    await settled();
    const again = await get("/plain/validated", { headers: { "if-none-match": '"other"' } });
    expect([again.status, again.body.toString(), again.cache, again.headers["x-news"]]).toEqual([
      200,
      "first",
      "REVALIDATED",
      "yes",
    ]);
  });

  it("is given stale while it is fetched anew", async () => {
    origin.on("/plain/swr", (_request, count) => ({
      headers: { "cache-control": count === 1 ? "max-age=0, stale-while-revalidate=60" : "max-age=600" },
    }));
    await get("/plain/swr");
    await settled();
    const stale = await get("/plain/swr");
    expect([stale.cache, stale.body.toString()]).toEqual(["STALE", "1"]);
    expect((await kept("/plain/swr")).body.toString()).toBe("2");
    expect(origin.asked("/plain/swr").length).toBe(2);
  });

  it.each([
    [
      "errors, within stale-if-error",
      "max-age=0, stale-if-error=60",
      { status: 503, body: "down" },
      [200, "1", "STALE"],
    ],
    ["cannot be reached, for a grace", "max-age=0", { isGone: true }, [200, "1", "STALE"]],
    ["errors, not without stale-if-error", "max-age=0", { status: 503, body: "down" }, [503, "down", "MISS"]],
    ["cannot be reached, not against its word", "max-age=0, must-revalidate", { isGone: true }, [502, "", undefined]],
  ])("bridges an origin that %s", async (what, control, failure, wanted) => {
    const path = `/plain/${what.replaceAll(/\W+/g, "-")}`;
    origin.on(path, (_request, count) =>
      count === 1 ? { headers: { "cache-control": control, etag: '"1"' } } : failure,
    );
    await get(path);
    await settled();
    const { status, body, cache } = await get(path);
    expect([status, status === 502 ? "" : body.toString(), cache]).toEqual(wanted);
  });

  it("goes when a request with another method changes it, with what its answer names", async () => {
    for (const path of ["/plain/item", "/plain/list"]) origin.on(path, { headers: FRESH });
    origin.on("/plain/list", (request) =>
      request.method === "POST" ? { status: 201, headers: { location: "/plain/item" } } : { headers: FRESH },
    );
    for (const path of ["/plain/item", "/plain/list"]) {
      await get(path);
      await kept(path);
    }
    await get("/plain/list", { method: "POST" });
    expect([(await get("/plain/list")).cache, (await get("/plain/item")).cache]).toEqual(["MISS", "MISS"]);
  });

  it("stays when that request failed", async () => {
    origin.on("/plain/refused", (request) => (request.method === "POST" ? { status: 403 } : { headers: FRESH }));
    await get("/plain/refused");
    await kept("/plain/refused");
    await get("/plain/refused", { method: "POST" });
    expect((await get("/plain/refused")).cache).toBe("HIT");
  });

  it("is not asked for where nothing else is wanted and nothing is kept", async () => {
    const got = await get("/asked/none", { headers: { "cache-control": "only-if-cached" } });
    expect([got.status, JSON.parse(got.body.toString()).code, origin.asked("/asked/none").length]).toEqual([
      504,
      "not-cached",
      0,
    ]);
  });

  it("has the query that the origin saw", async () => {
    origin.on("/query/a", (request) => ({ headers: FRESH, body: request.url ?? "" }));
    await get("/query/a?b=2&utm=x&a=1");
    const again = await kept("/query/a?a=1&utm=y&b=2");
    expect(again.body.toString()).toBe("/query/a?a=1&b=2");
  });
});

describe("a backend that keeps its clients", () => {
  const reply = (headers: Record<string, string>) => {
    for (const target of ["/one", "/two"]) origin.on(target, { headers });
  };

  it("binds nobody with what is kept, and lets those who are bound have it", async () => {
    reply({ "cache-control": "no-store" });
    const bound = await get("/bound");
    const [cookie = ""] = bound.headers["set-cookie"]?.[0]?.split(";") ?? [];
    expect(cookie).toMatch(/^sluice_target=/);
    reply(FRESH);
    const filled = await get("/bound", { headers: { cookie } });
    const hit = await kept("/bound", { headers: { cookie } });
    const other = await get("/bound");
    expect([filled, hit, other].map(({ cache, headers }) => [cache, headers["set-cookie"]])).toEqual([
      ["MISS", undefined],
      ["HIT", undefined],
      ["HIT", undefined],
    ]);
    expect(
      origin
        .asked("/one")
        .concat(origin.asked("/two"))
        .map(({ headers }) => headers["cookie"]),
    ).toEqual([undefined, undefined]);
  });

  it("keeps to its target a client whose answers are not kept", async () => {
    reply({ "cache-control": "no-store" });
    const bound = await get("/bound/page");
    const [cookie = ""] = bound.headers["set-cookie"]?.[0]?.split(";") ?? [];
    const targets = ["/one/page", "/two/page"];
    const before = targets.map((path) => origin.asked(path).length);
    for (let turn = 0; turn < 6; turn += 1) await get("/bound/page", { headers: { cookie } });
    const after = targets.map((path, index) => origin.asked(path).length - (before[index] ?? 0));
    expect([Math.min(...after), Math.max(...after)]).toEqual([0, 6]);
  });
});

describe("nothing is kept", () => {
  it.each([
    [
      "that is cut off",
      "/plain",
      { headers: { ...FRESH, "content-length": "300000" }, body: "x".repeat(300_000), cutAfter: 100_000 },
    ],
    ["that is cut off in chunks", "/plain", { headers: FRESH, body: "x".repeat(300_000), cutAfter: 100_000 }],
    ["that is larger than the route keeps", "/small", { headers: FRESH, body: "x".repeat(1001) }],
    [
      "that turns out to be larger",
      "/small",
      { headers: { ...FRESH, "transfer-encoding": "chunked" }, body: "x".repeat(200_000) },
    ],
    ["that nobody named a time for", "/plain", {}],
    ["that is a part", "/plain", { status: 206, headers: { ...FRESH, "content-range": "bytes 0-0/2" }, body: "x" }],
    ["that looks like what it is not", "/ttl", { headers: { "content-type": "text/html" } }, "/account.css"],
    ["of an error without a time", "/ttl", { status: 404 }],
  ] as const)("%s", async (what, prefix, reply, name: string = `/${what.replaceAll(" ", "-")}`) => {
    const path = prefix + name;
    origin.on(path, reply);
    await get(path).catch(() => {});
    await settled();
    await get(path).catch(() => {});
    expect(origin.asked(path).length).toBe(2);
  });
});
