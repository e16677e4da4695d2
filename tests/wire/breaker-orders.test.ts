import { afterAll, beforeAll, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask } from "../support/raw-client.ts";

/** Longer than an isolate takes to look how an open breaker is. */
const PATIENCE_MS = 20_000;

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      circuitBreaker: { timeout: "1h" },
      backends: {
        pair: { balance: "round-robin", targets: [{ url: `${origin.url}/one` }, { url: `${origin.url}/two` }] },
      },
      routes: [{ prefix: "/pair", backend: "pair" }],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

it("an order about one of two targets is felt, and so is its end, while the other one serves", async () => {
  await order("open");
  await eventually("the target to be spared", async () => (await served()) === 0);
  await order("auto");
  await eventually("the target to be used again", async () => (await served()) > 0);
});

/** How many of some requests the first target gets. */
async function served(): Promise<number> {
  const before = origin.seenAt("/one/").length;
  for (let request = 0; request < 4; request++) await ask(gateway.url, { target: "/pair/a" });
  return origin.seenAt("/one/").length - before;
}

async function order(kind: string): Promise<void> {
  const path = `/admin/backends/pair/${kind}?target=${encodeURIComponent(`${origin.url}/one`)}`;
  const headers = { authorization: `Bearer ${gateway.adminToken}` };
  const response = await fetch(`${gateway.url}${path}`, { method: "POST", headers });
  if (response.status !== 200) throw new Error(await response.text());
}

/** Polls, since what is waited for happens in another process. */
async function eventually(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  while (performance.now() < until) {
    if (await isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited ${PATIENCE_MS} ms for ${what}`);
}
