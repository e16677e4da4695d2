import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as client from "../support/cache-client.ts";
import type { Asking } from "../support/cache-client.ts";
import { startCountingOrigin, type CountingOrigin } from "../support/counting-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { routesTo } from "../support/routes-to.ts";

let origin: CountingOrigin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await startCountingOrigin();
  const to = routesTo(origin);
  const route = (prefix: string, cache: object) => to(prefix, { cache });
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      routes: [
        route("/plain", { ttl: 600 }),
        route("/query", { ttl: 600, query: { without: ["utm"] } }),
        route("/strip", { ttl: 600, cookies: "strip" }),
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

/** Says everything that it was asked, as an origin that builds its links of it would. */
function reflect(path: string): void {
  origin.on(path, ({ method, url, headers }) => ({
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ method, url, headers: { ...headers, "user-agent": "" } }),
  }));
}

describe("a response for all has nothing of", () => {
  const fields = [
    "Forwarded: host=evil.test",
    "X-Forwarded-Host: evil.test",
    "x-forwarded-host: EVIL.test",
    "X_Forwarded_Host: evil.test",
    "X-Forwarded-Scheme: evil",
    "X-Forwarded-Proto: evil",
    "X-Forwarded-Port: 666evil",
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded-Server: evil.test",
    "X-Forwarded-For: evil",
    "X-Host: evil.test",
    "X_Host: evil.test",
    "Fastly-Host: evil.test",
    "X-Forwarded-Evil: evil",
    "X-Original-URI: /evil",
    "X_Original_URL: /evil",
    "X_HTTP_Method_Override: EVIL",
    "X-Nextjs-Data: evil",
    "X-Middleware-Prefetch: evil",
    "X-Middleware-Subrequest: evil",
    "X-Invoke-Path: /evil",
    "X-Invoke-Status: 666evil",
    "X-Original-Host: evil.test",
    "X-HTTP-Host-Override: evil.test",
    "X-Forwarded: for=evil",
    "Front-End-Https: evil",
    "X-Scheme: evil",
    "X_URL_Scheme: evil",
    "X-Envoy-Original-Path: /evil",
    "X-Original-Method: EVIL",
    "X-Original-URL: /evil",
    "X-Rewrite-URL: /evil",
    "X-HTTP-Method-Override: EVIL",
    "X-HTTP-Method: EVIL",
    "X-Method-Override: EVIL",
    "X-Request-ID: evil-evil-evil-evil",
    "Proxy: http://evil.test",
    'If-None-Match: "evil"',
    "If-Modified-Since: evil",
    'If-Range: "evil"',
  ];
  it.each(fields.map((field, index) => [field, index] as const))("%s", async (field, index) => {
    const path = `/plain/field-${index}`;
    reflect(path);
    const [name = "", value = ""] = field.split(": ");
    await get(path, { headers: { [name]: value } });
    const victim = await client.kept(gateway.url, path);
    expect(victim.status).toBe(200);
    // The request's id alone is the attacker's to choose, as it is every client's.
    const told = JSON.parse(victim.body.toString());
    delete told.headers["x-request-id"];
    expect(JSON.stringify(told)).not.toMatch(/evil/i);
  });

  it("a parameter that is not keyed, however it is hidden", async () => {
    reflect("/query/a");
    await get("/query/a?a=1&utm=evil");
    const victim = await client.kept(gateway.url, "/query/a?a=1");
    expect(JSON.parse(victim.body.toString()).url).toBe("/query/a?a=1");
    await get("/query/a?utm=x;a=evil");
    expect((await client.kept(gateway.url, "/query/a")).body.toString()).not.toContain("evil");
    await get("/query/a?b=1;utm=evil");
    expect(JSON.parse((await get("/query/a?b=1")).body.toString()).url).toBe("/query/a?b=1");
  });

  it("another spelling of its path, by which a purge would not know it", async () => {
    reflect("/plain/spelled");
    await get("/plain/%73p%65lled");
    const victim = await client.kept(gateway.url, "/plain/spelled");
    expect(JSON.parse(victim.body.toString()).url).toBe("/plain/spelled");
  });

  it("the origin of pages that it was asked from", async () => {
    const path = "/plain/cors";
    origin.on(path, ({ headers }) => ({
      headers: { "access-control-allow-origin": headers.origin ?? "https://shop.test" },
    }));
    await get(path, { headers: { origin: "https://evil.test" } });
    await settled();
    const allowed = async (page: string) =>
      (await get(path, { headers: { origin: page } })).headers["access-control-allow-origin"];
    expect([await allowed("https://shop.test"), await allowed("https://evil.test")]).toEqual([
      "https://shop.test",
      "https://evil.test",
    ]);
    expect((await get(path)).headers["access-control-allow-origin"]).toBe("https://shop.test");
  });

  it("a cookie that is stripped", async () => {
    reflect("/strip/a");
    await get("/strip/a", { headers: { cookie: "theme=evil" } });
    expect((await client.kept(gateway.url, "/strip/a")).body.toString()).not.toContain("evil");
  });
});

describe("an answer is for nobody else", () => {
  it.each<readonly [what: string, attacker: Asking]>([
    ["to a body in a GET", { headers: { "content-length": "4" }, body: "evil" }],
    ["to chunks in a GET", { headers: { "transfer-encoding": "chunked" }, body: "evil" }],
    ["to a declared length in a GET", { headers: { "content-length": "0004" }, body: "evil" }],
    ["to another host", { host: "evil.test" }],
    ["to another port", { host: "gateway.test:8443" }],
    ["to a POST", { method: "POST", body: "evil" }],
    ["to a PURGE", { method: "PURGE" }],
    ["to a range", { headers: { range: "bytes=0-3" } }],
    ["to a precondition", { headers: { "if-match": '"evil"' } }],
    ["to an upgrade", { headers: { upgrade: "evil", connection: "upgrade" } }],
    ["to credentials", { headers: { authorization: "evil" } }],
    ["to a cookie", { headers: { cookie: "evil=1" } }],
  ])("%s", async (what, attacker) => {
    const path = `/plain/for-${what.replaceAll(/\W/g, "-")}`;
    origin.on(path, (_request, count) => ({ body: `answer ${count}` }));
    await get(path, attacker).catch(() => {});
    const asked = origin.asked(path).length;
    await settled();
    expect((await get(path)).body.toString()).toBe(`answer ${asked + 1}`);
  });

  it.each([
    "/plain/account%2fx.css",
    "/plain/account%2Fx.css",
    "/plain/account%5cx.css",
    "/plain/account%3bx.css",
    "/plain/account;x.css",
    "/plain/account%23x.css",
    "/plain/account%3fx.css",
    "/plain/account%25x.css",
    "/plain/account%00x.css",
    "/plain/account%0ax.css",
    "/plain/account%09x.css",
    "/plain/account%7fx.css",
    "/plain/static/..%2faccount",
    "/plain/..;/account",
  ])("to a path that can be read in two ways: %s", async (path) => {
    origin.on(path, { headers: { "cache-control": "max-age=600", "content-type": "text/css" } });
    await get(path);
    await settled();
    expect((await get(path)).cache ?? "none").toMatch(/^(?:BYPASS|none)$/);
  });

  it.each([
    ["account.css", "text/html"],
    ["account/x.js", "application/json"],
    ["account.png", "text/html; charset=utf-8"],
    ["account.CSS", "application/json"],
    ["account.avif", ""],
    ["account.woff2", "text/plain"],
    ["account.c%73s", "text/html"],
  ])("to %s that is %s", async (name, type) => {
    const path = `/plain/deceptive/${name}`;
    origin.on(path, { headers: type === "" ? {} : { "content-type": type } });
    await get(path);
    await settled();
    expect((await get(path)).cache).toBe("MISS");
  });

  it.each([400, 401, 403, 413, 414, 431, 500, 501, 502, 503])(
    "to a request that was refused with %i",
    async (status) => {
      const path = `/plain/refused-${status}`;
      origin.on(path, (_request, count) =>
        count === 1 ? { status, headers: { "last-modified": "Mon, 01 Jan 2024 00:00:00 GMT" } } : { body: "fine" },
      );
      await get(path, { headers: { "x-oversized": "x".repeat(8_000) } });
      await settled();
      const victim = await get(path);
      expect([victim.status, victim.body.toString()]).toEqual([200, "fine"]);
    },
  );
});
