import { afterAll, beforeAll, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Act, close, hang, reset, send } from "../support/origin/act.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask, RawClient } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";

/** Shorter than a permit that nobody gives back, which lasts 11 s. */
const PATIENCE_MS = 8_000;
const BUSY = [send("HTTP/1.1 500 Busy\r\nContent-Length: 0\r\n\r\n")];

/** How an origin treats a probe, and what its client gets; "left": it doesn't wait for that. */
const WAYS: Readonly<Record<string, { readonly acts: readonly Act[]; readonly status: number | "left" }>> = {
  "an answer": { acts: [send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")], status: 200 },
  "an answer that says nothing of health": {
    acts: [send("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")],
    status: 404,
  },
  "a plea for less": { acts: [send("HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")], status: 503 },
  "a failure": { acts: BUSY, status: 500 },
  silence: { acts: [hang], status: 504 },
  "a reset": { acts: [reset], status: 502 },
  "what is not HTTP": { acts: [send("nonsense\r\n\r\n"), close], status: 502 },
  "a head that contradicts itself": {
    acts: [send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")],
    status: 502,
  },
  "a short body that breaks off": {
    acts: [send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal"), close],
    status: 502,
  },
  "a long body that breaks off": {
    acts: [send(`HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n${"a".repeat(100_000)}`), close],
    status: 200,
  },
  "its client's leaving": { acts: [hang], status: "left" },
};

const NAMES = Object.keys(WAYS);
let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  const targets = NAMES.map((_, index) => [`way-${index}`, { targets: [{ url: `${origin.url}/way-${index}` }] }]);
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      timeouts: { headers: "2s" },
      circuitBreaker: { failureThreshold: 1, timeout: 500, maxTimeout: 500, halfOpenRequests: 1, jitter: 0 },
      backends: Object.fromEntries(targets),
      routes: NAMES.map((_, index) => ({ prefix: `/way-${index}`, backend: `way-${index}` })),
    },
  });
  await Promise.all(NAMES.map((_, index) => open(`way-${index}`)));
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

it.each(NAMES.map((name, index) => ({ name, path: `/way-${index}` })))(
  "a probe ends with $name, and its permit is free at once",
  async ({ name, path }) => {
    const way = WAYS[name];
    if (way === undefined) throw new Error(`no way is called ${name}`);
    origin.answer(`${path}/probe`, ...way.acts);
    const seen = () => origin.seenAt(`${path}/probe`).length;
    await eventually("a probe to come", async () => {
      if (way.status === "left") await askAndLeave(`${path}/probe`);
      const status = way.status === "left" ? "left" : (await ask(gateway.url, { target: `${path}/probe` })).status;
      if (seen() > 0) expect(status).toBe(way.status);
      return seen() > 0;
    });
    await eventually("the next request to pass", async () => {
      await ask(gateway.url, { target: `${path}/next` });
      return origin.seenAt(`${path}/next`).length > 0;
    });
  },
);

/** Fails requests to a backend until its breaker has opened. */
async function open(backend: string): Promise<void> {
  const target = `/${backend}/failing`;
  origin.answer(target, ...BUSY);
  await eventually("the breaker to open", async () => {
    await ask(gateway.url, { target });
    return hasOpened(backend);
  });
}

async function hasOpened(backend: string): Promise<boolean> {
  const headers = { authorization: `Bearer ${gateway.adminToken}` };
  const told = await fetch(`${gateway.url}/admin/backends/${backend}`, { headers });
  return /"to": *"open"/.test(await told.text());
}

/** Asks, and breaks the connection when the origin has got the request or the gateway has answered. */
async function askAndLeave(target: string): Promise<void> {
  const client = await RawClient.open(gateway.url);
  await client.send(request({ target }));
  await Promise.race([
    client.answer(),
    origin.until("the probe", ({ seen }) => seen.some((one) => one.target === target)),
  ]);
  client.reset();
}

/** Polls, since what is waited for happens in another process. */
async function eventually(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  while (performance.now() < until) {
    if (await isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`waited ${PATIENCE_MS} ms for ${what}`);
}
