import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type * as Active from "../../worker/config/active.ts";

/** A fresh isolate: the module holds what an isolate holds. */
let activeConfig: (typeof Active)["activeConfig"];
let background: Promise<unknown>[] = [];
const ctx = { waitUntil: (work: Promise<unknown>) => void background.push(work) };

beforeEach(async () => {
  vi.resetModules();
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.spyOn(console, "error").mockImplementation(() => {});
  background = [];
  ({ activeConfig } = await import("../../worker/config/active.ts"));
  await kv().delete("config");
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function kv(): KVNamespace {
  if (env.PROXY_CONFIG === undefined) throw new Error("the test project binds PROXY_CONFIG");
  return env.PROXY_CONFIG;
}

function documentFor(id: string): string {
  return JSON.stringify({ routes: [{ id, prefix: "/", target: "https://origin.example" }] });
}

async function routes(bindings: Env = env): Promise<readonly string[]> {
  const active = await activeConfig(bindings, ctx);
  return active.config.routes.map((route) => route.id);
}

/** Lets an isolate look at KV again and waits until it has. */
async function later(): Promise<void> {
  vi.setSystemTime(Date.now() + 6_000);
  await routes();
  await Promise.all(background.splice(0));
}

describe("the configuration of an isolate", () => {
  it("is the bundled default when KV holds none", async () => {
    expect(await activeConfig(env, ctx)).toMatchObject({ source: "default", version: 0 });
  });

  it("comes from KV, and a change arrives without a request waiting for it", async () => {
    await kv().put("config", documentFor("old"), { metadata: { version: 7 } });
    expect(await activeConfig(env, ctx)).toMatchObject({ source: "kv", version: 7 });
    await kv().put("config", documentFor("new"), { metadata: { version: 8 } });
    expect(await routes()).toEqual(["old"]);
    await later();
    expect(await routes()).toEqual(["new"]);
  });

  it("stays the last good one when KV turns bad, and recovers with it", async () => {
    await kv().put("config", documentFor("good"));
    await routes();
    for (const bad of ["{", '{"routes": 1}', '{"routes": [{"prefix": "/", "target": "http://10.0.0.1"}]}']) {
      await kv().put("config", bad);
      await later();
      expect(await routes()).toEqual(["good"]);
    }
    await kv().put("config", documentFor("mended"));
    await later();
    expect(await routes()).toEqual(["mended"]);
  });

  it("stays the last good one when KV loses it", async () => {
    await kv().put("config", documentFor("good"));
    await routes();
    await kv().delete("config");
    await later();
    expect(await routes()).toEqual(["good"]);
  });

  it("does not go back to a version that KV shows late", async () => {
    await kv().put("config", documentFor("new"), { metadata: { version: 8 } });
    await routes();
    await kv().put("config", documentFor("old"), { metadata: { version: 7 } });
    await later();
    expect(await activeConfig(env, ctx)).toMatchObject({ version: 8 });
    await kv().put("config", documentFor("by-hand"));
    await later();
    expect(await routes()).toEqual(["by-hand"]);
  });

  it.each(["8", 1.5, -1, null])(
    "is refused with the version %j, which no limit could be counted under",
    async (version) => {
      await kv().put("config", documentFor("odd"), { metadata: { version } });
      await expect(routes()).rejects.toMatchObject({ code: "dependency-unavailable" });
    },
  );

  it("is refused at a cold start with a bad document, and there as soon as the document is good", async () => {
    await kv().put("config", "{");
    await expect(routes()).rejects.toMatchObject({ code: "dependency-unavailable" });
    await kv().put("config", documentFor("good"));
    expect(await routes()).toEqual(["good"]);
  });

  it("does not wait for a KV that hangs: 503 at a cold start, the last good one later", async () => {
    // A fault that the real KV does not produce on demand; everything else is the real one.
    const stuck = new Proxy(kv(), { get: () => () => new Promise(() => {}) });
    const hung = { ...env, PROXY_CONFIG: stuck };
    await expect(routes(hung)).rejects.toMatchObject({ code: "dependency-unavailable" });
    await kv().put("config", documentFor("good"));
    await routes();
    vi.setSystemTime(Date.now() + 6_000);
    expect(await routes(hung)).toEqual(["good"]);
    await Promise.all(background);
    expect(await routes()).toEqual(["good"]);
  });

  it("is not waited for by every request of a cold start while KV hangs, and there a second after KV is well", async () => {
    let reads = 0;
    function hang(): Promise<never> {
      reads += 1;
      return new Promise(() => {});
    }
    const hung = { ...env, PROXY_CONFIG: new Proxy(kv(), { get: () => hang }) };
    for (let request = 0; request < 5; request += 1) {
      await expect(routes(hung)).rejects.toMatchObject({ code: "dependency-unavailable" });
    }
    expect(reads).toBe(3);
    await kv().put("config", documentFor("good"));
    vi.setSystemTime(Date.now() + 1_000);
    expect(await routes()).toEqual(["good"]);
  });

  it("is the file's when one was given at the start, whatever KV says", async () => {
    await kv().put("config", documentFor("kv"));
    const started = { ...env, SLUICE_CONFIG: documentFor("file"), SLUICE_CONFIG_VERSION: "3" };
    expect(await activeConfig(started, ctx)).toMatchObject({ source: "file", version: 3 });
    expect(await routes(started)).toEqual(["file"]);
  });
});
