import { afterAll, beforeAll, expect, it } from "vitest";
import * as client from "../support/cache-client.ts";
import type { Asking, Got } from "../support/cache-client.ts";
import { startCountingOrigin, type CountingOrigin } from "../support/counting-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";

const PATIENCE_MS = 15_000;

let origin: CountingOrigin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await startCountingOrigin();
  const standIn = { status: 200, headers: { "cache-control": "max-age=86400" }, body: "closed for now" };
  const backend = (name: string, fallback?: object) => ({
    targets: [{ url: `${origin.url}/${name}` }],
    circuitBreaker: { enabled: true, ...(fallback === undefined ? {} : { fallback }) },
  });
  const route = (name: string) => ({ id: name, prefix: `/${name}`, backend: name, cache: { staleIfError: 600 } });
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      backends: { alone: backend("alone"), helped: backend("helped", { response: standIn }) },
      routes: [route("alone"), route("helped")],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

const get = (path: string, asking?: Asking) => client.get(gateway.url, path, asking);

async function order(path: string): Promise<void> {
  const response = await fetch(`${gateway.url}/admin${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${gateway.adminToken}` },
  });
  expect(response.status).toBe(200);
}

/** Asks until an answer is as wanted: an order and a purge take a moment to reach the isolate. */
async function until(path: string, isWanted: (got: Got) => boolean): Promise<Got> {
  for (const end = Date.now() + PATIENCE_MS; ;) {
    const got = await get(path);
    if (isWanted(got)) return got;
    if (Date.now() > end) throw new Error(`${path} goes on with ${got.status} ${got.cache} ${got.body.toString()}`);
  }
}

it("gives what is stale while the breaker is open, and asks nobody", async () => {
  origin.on("/alone/page", { headers: { "cache-control": "max-age=600" }, body: "the page" });
  await client.kept(gateway.url, "/alone/page");
  await order("/backends/alone/open");
  const refused = await until("/alone/other", ({ status }) => status === 503);
  expect(JSON.parse(refused.body.toString())).toMatchObject({ code: "breaker-open" });
  await order("/cache-invalidate?route=alone&soft=true");
  const stale = await until("/alone/page", ({ cache }) => cache === "STALE");
  expect({ status: stale.status, body: stale.body.toString() }).toEqual({ status: 200, body: "the page" });
  expect(origin.asked("/alone/page").length).toBe(1);
});

it("takes nothing of what stands in for what is kept, also when asked by HEAD", async () => {
  // Fresh for five seconds more.
  origin.on("/helped/page", { headers: { "cache-control": "max-age=600", age: "595" }, body: "the page" });
  await client.kept(gateway.url, "/helped/page");
  await order("/backends/helped/open");
  await until("/helped/other", ({ body }) => body.toString() === "closed for now");
  await until("/helped/page", ({ cache }) => cache !== "HIT");
  for (let asked = 0; asked < 3; asked += 1) {
    expect((await get("/helped/page", { method: "HEAD" })).status).toBe(200);
    const got = await get("/helped/page");
    expect({ cache: got.cache === "HIT", body: got.body.toString() }).toEqual({ cache: false, body: "closed for now" });
  }
  expect(origin.asked("/helped/page").length).toBe(1);
});
