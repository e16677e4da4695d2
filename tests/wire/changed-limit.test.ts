import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask } from "../support/raw-client.ts";

const ISOLATES = 2;
/** Isolates look at KV every 5 s, when a request comes; the rest is for a busy machine. */
const PATIENCE_MS = 30_000;
const YEAR = 31_536_000;

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  gateway = await startGateway({
    isolates: ISOLATES,
    entry: fileURLToPath(new URL("../support/kv-config-entry.ts", import.meta.url)),
    config: document("a", 1, "token-bucket"),
  });
  await configure(1, document("limited", 10, "token-bucket"));
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

function document(name: string, requestsPerWindow: number, algorithm: string): unknown {
  // Nothing comes back while a test runs, and only the owner may decide, however busy the machine is.
  const limit = {
    name,
    requestsPerWindow,
    algorithm,
    windowSeconds: YEAR,
    mode: "strict",
    by: "all",
    onError: "closed",
  };
  const rateLimits = [{ ...limit, deadline: "20s" }];
  const free = { id: "free", prefix: "/free", target: origin.url, rateLimits: [] };
  return { allowPrivateTargets: true, routes: [{ id: "a", prefix: "/a", target: origin.url, rateLimits }, free] };
}

async function configure(version: number, config: unknown): Promise<void> {
  const headers = { "x-test-config-version": String(version) };
  await (await fetch(gateway.url, { method: "PUT", headers, body: JSON.stringify(config) })).text();
}

/** Resolves when every isolate works by a version of the configuration. */
async function active(version: number): Promise<void> {
  await vi.waitFor(async () => {
    await Promise.all(gateway.urls.map((url) => ask(url, { target: "/free/a" })));
    const activated = gateway.logs().filter((line) => line["message"] === "configuration active");
    expect(activated.filter((line) => line["version"] === version)).toHaveLength(ISOLATES);
  }, PATIENCE_MS);
}

/** What clients are told of requests that come to the isolates by turns. */
async function told(times: number): Promise<readonly unknown[]> {
  const seen: unknown[] = [];
  for (let index = 0; index < times; index += 1) {
    const { status, headers } = await ask(gateway.urls[index % ISOLATES] ?? "", { target: "/a/a" });
    seen.push([status, Number(/;r=(\d+)/.exec(valueOf(headers, "ratelimit") ?? "")?.[1])]);
  }
  return seen;
}

test("a limit that KV changes under way is never more than the new one allows of what was left", async () => {
  await active(1);
  expect(await told(4)).toEqual([
    [200, 9],
    [200, 8],
    [200, 7],
    [200, 6],
  ]);

  // Raised: what is there stays, and what time brings comes faster.
  await configure(2, document("limited", 100, "token-bucket"));
  await active(2);
  expect(await told(2)).toEqual([
    [200, 5],
    [200, 4],
  ]);

  // Lowered: cut to what the new limit holds.
  await configure(3, document("limited", 2, "token-bucket"));
  await active(3);
  expect(await told(3)).toEqual([
    [200, 1],
    [200, 0],
    [429, 0],
  ]);

  // Another algorithm grants nothing that was not left.
  await configure(4, document("limited", 50, "fixed-window"));
  await active(4);
  expect(await told(2)).toEqual([
    [429, 0],
    [429, 0],
  ]);

  // Another name is another counter.
  await configure(5, document("another", 3, "sliding-window"));
  await active(5);
  expect(await told(4)).toEqual([
    [200, 2],
    [200, 1],
    [200, 0],
    [429, 0],
  ]);
}, 120_000);
