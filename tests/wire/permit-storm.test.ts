import { createServer, type Server, type ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { ask, RawClient } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";

const ISOLATES = 4;
const LIMIT = 6;
/** Less than an owner waits before it takes back what a dead isolate held. */
const PATIENCE_MS = 15_000;

/** Requests that the origin is working at. */
const serving = new Set<ServerResponse>();
/** Those of them that it never answers. */
const held = new Set<ServerResponse>();
let busiest = 0;
let server: Server;
let gateway: Gateway;

beforeAll(async () => {
  server = createServer((incoming, response) => void serve(incoming.url ?? "", response));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the origin has no port");
  // Only the owner may decide here, however busy the machine is.
  const strict = { onError: "closed", deadline: "20s" };
  const rateLimit = { algorithm: "concurrency", by: "route", maxConcurrent: LIMIT, ...strict };
  const target = `http://127.0.0.1:${address.port}`;
  gateway = await startGateway({
    isolates: ISOLATES,
    config: {
      allowPrivateTargets: true,
      routes: ["storm", "left"].map((id) => ({ id, prefix: `/${id}`, target, rateLimit })),
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  server.closeAllConnections();
  server.close();
});

/** `/MS/BYTES` answers with so many bytes after so many milliseconds; `/held` never. */
async function serve(url: string, response: ServerResponse): Promise<void> {
  const [, ms = "", bytes = "0"] = url.split("/");
  serving.add(response);
  busiest = Math.max(busiest, serving.size);
  response.on("close", () => serving.delete(response));
  if (ms === "held") {
    held.add(response);
    response.on("close", () => held.delete(response));
    return;
  }
  await pause(Number(ms));
  // Before the gateway can have the last byte, and somebody else the permit.
  serving.delete(response);
  response.end(Buffer.alloc(Number(bytes)));
}

function urlOf(index: number): string {
  return gateway.urls[index % ISOLATES] ?? "";
}

test("never more requests reach the origin at once than the limit says, whichever isolates they come by", async () => {
  const statuses = await Promise.all(Array.from({ length: 40 }, (_, index) => askOften(index, 25)));
  expect(new Set(statuses.flat())).toEqual(new Set([200, 429]));
  expect(busiest).toBe(LIMIT);
});

test("no permit is left behind when clients reset their connections at any moment", async () => {
  await Promise.all(Array.from({ length: 120 }, (_, index) => resetSoon(index)));
  await vi.waitFor(() => expect(serving.size).toBe(0), PATIENCE_MS);
  const clients: RawClient[] = [];
  const deadline = Date.now() + PATIENCE_MS;
  // All of them in one isolate.
  while (held.size < LIMIT && Date.now() < deadline) {
    const client = await RawClient.open(urlOf(1));
    clients.push(client);
    await client.send(request({ target: "/left/held" }));
    await Promise.race([client.answer(), pause(100)]);
  }
  expect(held.size).toBe(LIMIT);
  expect((await ask(urlOf(2), { target: "/left/0" })).status).toBe(429);
  for (const client of clients) client.reset();
});

/** The statuses of requests one after the other, on all isolates in turn; some answers are streamed. */
async function askOften(first: number, many: number): Promise<readonly number[]> {
  const statuses: number[] = [];
  for (let index = first; index < first + many; index += 1) {
    const target = `/storm/${100 + ((index * 7) % 40)}/${index % 3 === 0 ? 300_000 : 100}`;
    statuses.push((await ask(urlOf(index), { target })).status);
  }
  return statuses;
}

/** A request that is left after some milliseconds, its answer not begun, under way, or complete. */
async function resetSoon(index: number): Promise<void> {
  const client = await RawClient.open(urlOf(index));
  await client.send(request({ target: `/left/${index % 30}/1000000` }));
  await pause(index % 60);
  client.reset();
}
