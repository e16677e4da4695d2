import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { setTimeout as pause } from "node:timers/promises";
import { circuitOf } from "../support/circuit-of.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Act, hang, reset, send, trickle } from "../support/origin/act.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask, RawClient } from "../support/raw-client.ts";

const TOTAL_MS = 5_000;
/** When the last of a body comes: less than half of all is left, and enough of it for a machine that is busy. */
const LATE_MS = 3_000;

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  // One failure opens a breaker, so that none has happened where it is closed.
  const strict = { failureThreshold: 1, timeout: "1m" };
  const single = { failureThreshold: 1, timeout: 1_000, jitter: 0, halfOpenRequests: 1, successThreshold: 1 };
  const timeouts = { total: TOTAL_MS };
  const backends = {
    uploaded: { targets: [target("uploaded")], circuitBreaker: strict, timeouts },
    wanted: { targets: [target("wanted")], circuitBreaker: single },
    events: {
      targets: [target("events")],
      circuitBreaker: { failureThreshold: 1, timeout: 500, jitter: 0, successThreshold: 1, operationTimeout: 300 },
    },
  };
  const routes = Object.keys(backends).map((id) => ({ id, prefix: `/${id}`, backend: id }));
  gateway = await startGateway({ config: { allowPrivateTargets: true, backends, routes } });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

function target(path: string): { readonly url: string } {
  return { url: `${origin.url}/${path}` };
}

const OK = send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");

function after(ms: number): Act {
  return () => pause(ms, true);
}

/** Sends a request of which the last bytes come late; what it gets. */
async function sendLate(head: string, last: string, lateMs: number): Promise<number | undefined> {
  const client = await RawClient.open(gateway.url);
  await client.send(head);
  await pause(lateMs);
  await client.send(last);
  const answer = await client.answer();
  client.close();
  return answer?.status;
}

/** A request that is answered, and that its breaker's owner has heard of: what failed before that would count for nothing. */
async function passes(backend: string): Promise<void> {
  await vi.waitFor(
    async () => {
      expect((await ask(gateway.url, { target: `/${backend}/x` })).status).toBe(200);
      expect(await circuitOf(gateway, `${origin.url}/${backend}`)).toBe("closed");
    },
    { timeout: 15_000, interval: 50 },
  );
}

it.concurrent.each([
  ["a short body", "Content-Length: 4\r\n\r\nabc", "d"],
  ["a streamed body", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "0\r\n\r\n"],
])("a client that leaves no time after %s is no failure of the target", async (_, head, last) => {
  origin.answer("/uploaded/x", OK);
  await passes("uploaded");
  origin.answer("/uploaded/late", hang);
  const post = `POST /uploaded/late HTTP/1.1\r\nHost: gateway.test\r\n${head}`;
  expect(await sendLate(post, last, LATE_MS)).toBe(504);
  expect((await ask(gateway.url, { target: "/uploaded/x" })).status).toBe(200);
});

it("a stream that a probe brings is silent for as long as any other", async () => {
  origin.answer("/events/failing", reset);
  await vi.waitFor(
    async () => {
      await ask(gateway.url, { target: "/events/failing" });
      expect(await circuitOf(gateway, `${origin.url}/events`)).toBe("open");
    },
    { timeout: 15_000, interval: 50 },
  );
  // Longer than a permit lasts: a second more than `operationTimeout`.
  const event = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
  const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  origin.answer("/events/x", send(head + event("first")), after(2_000), trickle(`${event("last")}0\r\n\r\n`, 1));
  const answer = await vi.waitFor(
    async () => {
      const told = await ask(gateway.url, { target: "/events/x" });
      expect(told.status).toBe(200);
      return told;
    },
    { timeout: 15_000, interval: 50 },
  );
  expect([answer.body.toString("utf8"), answer.end]).toEqual(["firstlast", "last-chunk"]);
});

it("a body that is still to come takes no permit that others want", async () => {
  origin.answer("/wanted/failing", reset);
  const refused = async (): Promise<void> => {
    await ask(gateway.url, { target: "/wanted/failing" });
    expect(await circuitOf(gateway, `${origin.url}/wanted`)).toBe("open");
  };
  await vi.waitFor(refused, { timeout: 15_000, interval: 50 });
  await ask(gateway.url, { target: "/wanted/failing" });
  await pause(1_100);
  const uploading = await RawClient.open(gateway.url);
  await uploading.send("POST /wanted/x HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
  expect((await uploading.answer())?.status).toBe(503);
  uploading.close();
  origin.answer("/wanted/x", OK);
  await vi.waitFor(async () => expect((await ask(gateway.url, { target: "/wanted/x" })).status).toBe(200), {
    timeout: 5_000,
    interval: 50,
  });
});
