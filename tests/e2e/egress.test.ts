import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, it } from "vitest";
import { EGRESS_POLICY } from "../support/egress-policy.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";

const ENTRY = fileURLToPath(new URL("../support/egress-entry.ts", import.meta.url));
const ISOLATES = 4;
const CLIENTS = 5;
const REQUESTS = 20;
/** What clocks of this machine may differ by, between the process that starts requests and the one that sees them. */
const WINDOW_MS = EGRESS_POLICY.windowMs - 100;

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean();
});

it("keeps a quota over 4 isolates: never too many in a window, nor too close, and each client in its turn", async () => {
  const upstream = await startUpstream();
  const gateway = await start(upstream, stateDirectory());
  cleanups.push(() => gateway.stop());
  const statuses = await Promise.all(requests().map((index) => ask(gateway, upstream, index)));
  expect(statuses).toEqual(Array(REQUESTS).fill(200));
  expect(upstream.most()).toBeLessThanOrEqual(EGRESS_POLICY.requests);
  expect(upstream.leastMs()).toBeGreaterThanOrEqual(EGRESS_POLICY.spacingMs);
  for (let count = 1; count <= REQUESTS; count += 1) {
    const served = clients().map(
      (client) => upstream.arrivals.slice(0, count).filter((one) => one.client === client).length,
    );
    expect(Math.max(...served) - Math.min(...served)).toBeLessThanOrEqual(2);
  }
});

it("keeps it through kill -9 in the middle of a window, and serves those who ask again", async () => {
  const upstream = await startUpstream();
  const state = stateDirectory();
  const first = await start(upstream, state);
  const killed = upstream.whenArrived(8).then(() => first.kill());
  const before = await Promise.all(requests().map((index) => ask(first, upstream, index)));
  await killed;
  expect(before).toContain("lost");
  const second = await start(upstream, state);
  cleanups.push(() => second.stop());
  const again = requests().filter((index) => before[index] !== 200);
  expect(await Promise.all(again.map((index) => ask(second, upstream, index)))).toEqual(Array(again.length).fill(200));
  expect(upstream.most()).toBeLessThanOrEqual(EGRESS_POLICY.requests);
  expect(upstream.leastMs()).toBeGreaterThanOrEqual(EGRESS_POLICY.spacingMs);
});

it("leaves an upstream alone everywhere for as long as its Retry-After says", async () => {
  const upstream = await startUpstream({ throttled: 1 });
  const gateway = await start(upstream, stateDirectory());
  cleanups.push(() => gateway.stop());
  expect(await ask(gateway, upstream, 0)).toBe(429);
  const statuses = await Promise.all(
    requests()
      .slice(1, 9)
      .map((index) => ask(gateway, upstream, index)),
  );
  expect(statuses).toEqual(Array(8).fill(200));
  const [throttled, next] = upstream.arrivals;
  expect((next?.at ?? 0) - (throttled?.at ?? 0)).toBeGreaterThanOrEqual(3_000);
});

function requests(): readonly number[] {
  return Array.from({ length: REQUESTS }, (_, index) => index);
}

function clients(): readonly string[] {
  return Array.from({ length: CLIENTS }, (_, index) => `client-${index}`);
}

function stateDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "sluice-state-"));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function start(upstream: Upstream, state: string): Promise<Gateway> {
  const config = { allowPrivateTargets: true, routes: [{ prefix: "/", target: upstream.url }] };
  return startGateway({ isolates: ISOLATES, state, entry: ENTRY, config });
}

async function ask(gateway: Gateway, upstream: Upstream, index: number): Promise<number | "lost"> {
  const client = `client-${index % CLIENTS}`;
  const url = `${gateway.urls[Math.floor(index / CLIENTS) % ISOLATES] ?? ""}/${client}/${index}`;
  try {
    const response = await fetch(url, { headers: { "x-test-upstream": upstream.url, "x-test-client": client } });
    await response.text();
    return response.status;
  } catch {
    return "lost";
  }
}

interface Upstream {
  readonly url: string;
  readonly arrivals: readonly { readonly at: number; readonly client: string | undefined }[];
  /** The most that arrived in any window. */
  most(): number;
  /** The least between two arrivals. */
  leastMs(): number;
  whenArrived(count: number): Promise<void>;
}

/** An upstream that notes who came when, and answers the first `throttled` with 429 and `Retry-After: 3`. */
async function startUpstream({ throttled = 0 } = {}): Promise<Upstream> {
  const arrivals: { at: number; client: string | undefined }[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const server: Server = createServer((request, response) => {
    arrivals.push({ at: performance.now(), client: request.url?.split("/")[1] });
    if (arrivals.length <= throttled) response.writeHead(429, { "retry-after": "3" });
    response.end("ok");
    for (const { count, resolve } of waiting) if (arrivals.length >= count) resolve();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has no port");
  const gaps = (back: number) => arrivals.slice(back).map(({ at }, index) => at - (arrivals[index]?.at ?? at));
  return {
    url: `http://127.0.0.1:${address.port}`,
    arrivals,
    most: () => {
      let most = 0;
      while (most < arrivals.length && (most === 0 || Math.min(...gaps(most)) < WINDOW_MS)) most += 1;
      return most;
    },
    leastMs: () => Math.min(...gaps(1)),
    whenArrived: (count) => new Promise((resolve) => waiting.push({ count, resolve: () => resolve() })),
  };
}
