import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as client from "../support/cache-client.ts";
import type { Asking } from "../support/cache-client.ts";
import { startCountingOrigin, type CountingOrigin } from "../support/counting-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";

let origin: CountingOrigin;
let gateway: Gateway;

/** Two isolates, which have no memory in common. */
beforeAll(async () => {
  origin = await startCountingOrigin();
  const route = (prefix: string, cache: object) => ({
    id: prefix.slice(1),
    prefix,
    target: origin.url + prefix,
    cache: { ttl: 600, staleWhileRevalidate: 600, ...cache },
  });
  gateway = await startGateway({
    isolates: 2,
    config: {
      allowPrivateTargets: true,
      routes: [
        route("/pages", { groupInvalidation: true }),
        route("/api", { groupInvalidation: true }),
        route("/others", {}),
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

const base = (isolate: number) => gateway.urls[isolate] ?? "";

/** Keeps a response of a group where both isolates find it; its origin confirms it. */
async function keep(path: string, groups: string, asking: Asking = {}): Promise<void> {
  origin.on(path, ({ headers, method }) =>
    method === "GET" && headers["if-none-match"] === '"1"'
      ? { status: 304, headers: { "cache-groups": groups }, body: "" }
      : { headers: { etag: '"1"', "cache-groups": groups }, body: "kept" },
  );
  await client.get(base(0), path, asking);
  for (const isolate of [0, 1]) await client.kept(base(isolate), path, asking);
}

/** Changes something by way of the first isolate; the answer names a group. */
async function change(path: string, group: string, status = 200, asking: Asking = {}): Promise<client.Got> {
  origin.on(path, { status, headers: { "cache-group-invalidation": group } });
  return client.get(base(0), path, { method: "POST", ...asking });
}

/** Asks an isolate until it confirms what it keeps; fails after the 2 s that it may take. */
async function confirmed(isolate: number, path: string): Promise<string | undefined> {
  for (const clock = client.runningClock(); ;) {
    const askedAt = clock();
    const { cache } = await client.get(base(isolate), path);
    if (cache !== "HIT") return cache;
    if (askedAt > 2_000) throw new Error(`${path} is still given ${askedAt} ms later`);
  }
}

describe("an answer that invalidates a group", () => {
  it("has what belongs to it confirmed by whoever changed it at once, and passes the field on", async () => {
    await keep("/pages/own", '"own", "more"');
    const { headers } = await change("/api/own", '"own"');
    expect(headers["cache-group-invalidation"]).toBe('"own"');
    expect((await client.get(base(0), "/pages/own")).cache).toBe("REVALIDATED");
  });

  it("has it confirmed in other isolates within 2 s", async () => {
    await keep("/pages/other", '"other"');
    await change("/api/other", '"other"');
    expect(await confirmed(1, "/pages/other")).toBe("REVALIDATED");
  });

  it("reaches every isolate with each of many groups that are invalidated in a row", async () => {
    const names = ["r1", "r2", "r3", "r4", "r5", "r6"];
    for (const name of names) await keep(`/pages/${name}`, `"${name}"`);
    for (const name of names) await change(`/api/${name}`, `"${name}"`);
    const outcomes = await Promise.all(names.map((name) => confirmed(1, `/pages/${name}`)));
    expect(outcomes).toEqual(names.map(() => "REVALIDATED"));
  });

  it("leaves other groups, other hosts and routes that have it off", async () => {
    const elsewhere = { host: "elsewhere.test" };
    await keep("/pages/left", '"left"');
    await keep("/pages/hosted", '"gone"', elsewhere);
    await keep("/others/off", '"gone"');
    await keep("/pages/gone", '"gone"');
    await change("/api/gone", '"gone"');
    expect(await confirmed(1, "/pages/gone")).toBe("REVALIDATED");
    const after = await Promise.all([
      client.get(base(1), "/pages/left"),
      client.get(base(1), "/pages/hosted", elsewhere),
      client.get(base(1), "/others/off"),
    ]);
    expect(after.map(({ cache }) => cache)).toEqual(["HIT", "HIT", "HIT"]);
  });

  it.each<[string, string, number, Asking]>([
    ["that failed", "/api/failed", 500, {}],
    ["to a safe request", "/api/safe", 200, { method: "GET" }],
    ["of a route that has it off", "/others/changed", 200, {}],
    ["of another host", "/api/foreign", 200, { host: "elsewhere.test" }],
  ])("%s invalidates nothing", async (_what, path, status, asking) => {
    const group = `"${path}"`;
    const kept = `/pages${path}`;
    await keep(kept, group);
    await change(path, group, status, asking);
    expect((await client.get(base(0), kept)).cache).toBe("HIT");
  });
});
