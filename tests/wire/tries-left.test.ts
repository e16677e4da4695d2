import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { circuitOf } from "../support/circuit-of.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Act, perform, reset, send } from "../support/origin/act.ts";
import { Origin } from "../support/origin/origin.ts";
import { problemOf } from "../support/problem.ts";
import { ask, RawClient } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  const retry = { maxRetries: 5, budget: { ratio: 1 } };
  const circuitBreaker = { failureThreshold: 1, timeout: 1_000, jitter: 0, halfOpenRequests: 1, successThreshold: 1 };
  const backends = {
    waiting: { targets: [{ url: `${origin.url}/waiting` }], retry },
    streamed: { targets: [{ url: `${origin.url}/streamed` }], circuitBreaker },
    probed: { targets: [{ url: `${origin.url}/probed` }], circuitBreaker },
  };
  // Under a limit of requests in flight an exchange outlives its client for a moment.
  const inFlight = { name: "in-flight", algorithm: "concurrency", by: "route", maxConcurrent: 100, deadline: "20s" };
  const routes = Object.keys(backends).map((id) => {
    const rateLimits = id === "waiting" ? [inFlight] : [];
    return { id, prefix: `/${id}`, backend: id, rateLimits };
  });
  gateway = await startGateway({ config: { allowPrivateTargets: true, backends, routes } });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

const OK = [send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")];
/** Long enough for a client to leave meanwhile, however busy the machine is. */
const LATER = [send("HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n")];

async function leaveDuring(path: string, isThere: () => boolean): Promise<void> {
  const client = await RawClient.open(gateway.url);
  await client.send(request({ target: path }));
  await origin.until(`a request for ${path}`, isThere);
  client.reset();
}

/** As long as any retry would have waited: another exchange waits for its own, which is asked for later. */
async function anyRetryIsDue(name: string): Promise<void> {
  let turn = 0;
  origin.answer(`/waiting/${name}`, (peer) => perform(peer, turn++ === 0 ? LATER : OK));
  expect((await ask(gateway.url, { target: `/waiting/${name}` })).status).toBe(200);
}

it("a client that leaves while a retry waits ends it", async () => {
  const path = "/waiting/x";
  let answered = 0;
  const count: Act = () => Promise.resolve((answered += 1) > 0);
  origin.answer(path, ...LATER, count);
  await leaveDuring(path, () => answered === 1);
  await anyRetryIsDue("later-than-x");
  expect(answered).toBe(1);
});

it("a client that leaves during a try ends it at the origin, and none follows", async () => {
  const path = "/waiting/held";
  await leaveDuring(path, () => origin.seenAt(path).length === 1);
  await origin.until("nothing is in flight", ({ busy }) => busy === 0);
  await anyRetryIsDue("later-than-held");
  expect(origin.seenAt(path)).toHaveLength(1);
});

it("an origin that breaks a streamed body off has failed by its breaker", async () => {
  origin.answer("/streamed/x", send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), reset);
  const cut = await ask(gateway.url, { target: "/streamed/x" });
  expect(cut).toMatchObject({ status: 200, end: "cut" });
  await vi.waitFor(
    async () => {
      await ask(gateway.url, { target: "/streamed/x" });
      expect(await circuitOf(gateway, `${origin.url}/streamed`)).toBe("open");
    },
    { timeout: 15_000, interval: 50 },
  );
});

it("a probe whose client leaves gives its permit to the next request", async () => {
  origin.answer("/probed/failing", reset);
  await vi.waitFor(
    async () => {
      await ask(gateway.url, { target: "/probed/failing" });
      expect(await circuitOf(gateway, `${origin.url}/probed`)).toBe("open");
    },
    { timeout: 15_000, interval: 50 },
  );
  // Open for a second; then one request at a time may find out.
  const held = await vi.waitFor(
    async () => {
      const client = await RawClient.open(gateway.url);
      await client.send(request({ target: "/probed/held" }));
      const isThere = origin.until("a probe", (at) => at.seenAt("/probed/held").length === 1).then(() => client);
      expect(await Promise.race([client.answer(), isThere])).toBe(client);
      return client;
    },
    { timeout: 15_000, interval: 50 },
  );
  expect(problemOf(await ask(gateway.url, { target: "/probed/y" }))?.code).toBe("breaker-open");
  held.reset();
  // Long before the permit would have run out, which takes eleven seconds.
  await vi.waitFor(async () => expect((await ask(gateway.url, { target: "/probed/y" })).status).toBe(200), {
    timeout: 5_000,
    interval: 50,
  });
});
