import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { startGateway, type Gateway } from "../support/gateway.ts";

const LIMIT = 100;
const REQUESTS = 800;
const ISOLATES = 4;
/** 100 an hour is a token every 36 s: what the bucket earns while a test runs. */
const MS_PER_TOKEN = 36_000;

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean();
});

it("admits exactly the limit of 800 requests in flight at once over 4 isolates", async () => {
  const origin = await startOrigin();
  const gateway = await start(origin, stateDirectory());
  cleanups.push(() => gateway.stop());

  const statuses = await Promise.all(requests(REQUESTS).map((index) => ask(gateway, index)));

  expect(count(statuses)).toEqual({ 200: LIMIT, 429: REQUESTS - LIMIT });
  expect(origin.admitted()).toBe(LIMIT);
});

it("never admits more than the limit and what time earned when the runtime is killed in the middle", async () => {
  const origin = await startOrigin();
  const state = stateDirectory();
  const first = await start(origin, state);
  const startedAt = Date.now();

  const killed = origin.whenAdmitted(LIMIT / 4).then(() => first.kill());
  const before = await Promise.all(requests(REQUESTS / 2).map((index) => ask(first, index)));
  await killed;
  const admittedBefore = origin.admitted();

  const second = await start(origin, state);
  cleanups.push(() => second.stop());
  const after = await Promise.all(requests(REQUESTS).map((index) => ask(second, index)));
  const earned = Math.floor((Date.now() - startedAt) / MS_PER_TOKEN);

  // The kill landed between the first and the last decision: some had their answer, some lost their connection.
  expect(before).toContain("lost");
  expect(admittedBefore).toBeGreaterThanOrEqual(LIMIT / 4);
  expect(origin.admitted()).toBeLessThanOrEqual(LIMIT + earned);
  // And nothing was forgotten in the other direction: after the restart the rest of the limit is still there to be had.
  const lost = before.filter((status) => status === "lost").length;
  expect(count(after)["200"] ?? 0).toBeGreaterThanOrEqual(LIMIT - admittedBefore - lost);
  expect(count(after)).not.toHaveProperty("500");
});

function requests(many: number): readonly number[] {
  return Array.from({ length: many }, (_, index) => index);
}

function stateDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "sluice-state-"));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function start(origin: CountingOrigin, state: string): Promise<Gateway> {
  return startGateway({
    isolates: ISOLATES,
    state,
    config: {
      allowPrivateTargets: true,
      // Only the owner may decide here: a fallback would count on its own.
      rateLimit: { requestsPerWindow: LIMIT, windowSeconds: 3600, mode: "strict", onError: "closed", deadline: "20s" },
      routes: [{ prefix: "/", target: origin.url }],
    },
  });
}

async function ask(gateway: Gateway, index: number): Promise<number | "lost"> {
  try {
    const response = await fetch(`${gateway.urls[index % ISOLATES]}/item/${index}`);
    await response.arrayBuffer();
    return response.status;
  } catch {
    return "lost";
  }
}

function count(statuses: readonly (number | "lost")[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const status of statuses) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

interface CountingOrigin {
  readonly url: string;
  admitted(): number;
  /** Resolves when the origin has seen this many requests. */
  whenAdmitted(many: number): Promise<void>;
}

async function startOrigin(): Promise<CountingOrigin> {
  let admitted = 0;
  let waiting: { readonly many: number; readonly reached: () => void } | undefined;
  const server = createServer((_request, response) => {
    admitted += 1;
    if (waiting !== undefined && admitted >= waiting.many) waiting.reached();
    response.end("ok");
  });
  await listen(server);
  cleanups.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the origin has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    admitted: () => admitted,
    whenAdmitted: (many) => new Promise((reached) => (waiting = { many, reached })),
  };
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
}
