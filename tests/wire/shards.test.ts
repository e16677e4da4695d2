import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";

/** A token comes back every 1.8 s: what the bucket earns while the test runs. */
const LIMIT = { requestsPerWindow: 2_000, windowSeconds: 3_600, by: "all", clients: "own", onError: "closed" };
const MS_PER_TOKEN = 1_800;
const ISOLATES = 4;
const AT_ONCE = 40;

interface Calls {
  readonly root: number;
  readonly shards: number;
  readonly objects: number;
}

let admitted = 0;
let origin: Server;
let gateway: Gateway;

beforeAll(async () => {
  origin = createServer((_, response) => {
    admitted += 1;
    response.end();
  });
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that listens on a port has an address
  const { port } = origin.address() as AddressInfo;
  gateway = await startGateway({
    isolates: ISOLATES,
    entry: fileURLToPath(new URL("../support/shards-entry.ts", import.meta.url)),
    config: {
      allowPrivateTargets: true,
      logging: { enabled: false },
      routes: [{ id: "hot", prefix: "/", target: `http://127.0.0.1:${port}`, rateLimit: LIMIT }],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  origin?.close();
});

it("spreads a hot client over shards that never let more through than its limit, whatever ends in the middle", async () => {
  const startedAt = Date.now();
  while ((await calls()).shards === 0 && Date.now() - startedAt < 20_000) await round();
  const told = await calls();
  expect(told.shards).toBeGreaterThan(0);

  const seen = new Set<number>();
  for (let index = 0; index < 30; index++) {
    if (index === 5 || index === 15) await control("evict");
    for (const status of await round()) seen.add(status);
  }
  for (let index = 0; index < 60; index++) for (const status of await round()) seen.add(status);

  const { shards, objects } = await calls();
  const earned = Math.ceil((Date.now() - startedAt) / MS_PER_TOKEN);
  expect(admitted).toBeLessThanOrEqual(LIMIT.requestsPerWindow + earned);
  expect(admitted).toBeGreaterThan(LIMIT.requestsPerWindow / 4);
  expect([...seen].filter((status) => ![200, 429, 503].includes(status))).toEqual([]);
  expect(seen).toContain(429);
  // An isolate whose call an eviction broke asks the root for a while: how many ask whom is a matter of time.
  expect(shards).toBeGreaterThan(told.shards);
  // The root and a shard; four isolates of random names may all be of one.
  expect(objects).toBeGreaterThanOrEqual(2);
});

/** Requests to all isolates at once; their statuses. */
function round(): Promise<readonly number[]> {
  const one = async (_: unknown, index: number): Promise<number> => {
    const response = await fetch(`${gateway.urls[index % ISOLATES]}/`);
    await response.arrayBuffer();
    return response.status;
  };
  return Promise.all(Array.from({ length: AT_ONCE }, one));
}

async function calls(): Promise<Calls> {
  const response = await control("count");
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the test's own entry answers
  return (await response.json()) as Calls;
}

function control(order: "count" | "evict"): Promise<Response> {
  return fetch(`${gateway.url}/`, { headers: { "x-test-control": order } });
}
