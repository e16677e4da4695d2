import { afterAll, beforeAll, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask, RawClient } from "../support/raw-client.ts";

/** What a client sends of a request, and how it ends; "waits": it sends no more and wants the answer. */
interface Act {
  readonly head: string;
  /** The last part of the path, for an origin that treats it in a way of its own. */
  readonly at?: string;
  readonly part?: string;
  readonly next: "waits" | "ends" | "breaks off";
}

/** More than the gateway reads before it calls the origin. */
const LONG = "Content-Length: 200000";
const SHORT = "Content-Length: 9";

/** What clients can do wrong, with the target healthy throughout. */
const ACTS: Readonly<Record<string, Act>> = {
  "sends a long body of a GET never": { head: `GET\n${LONG}`, next: "waits" },
  "sends part of a long body of a GET": { head: `GET\n${LONG}`, part: "x".repeat(100_000), next: "waits" },
  "ends within a long body of a GET": { head: `GET\n${LONG}`, part: "x", next: "ends" },
  "breaks off within a long body of a GET": { head: `GET\n${LONG}`, part: "x", next: "breaks off" },
  "sends a long body of a HEAD never": { head: `HEAD\n${LONG}`, next: "waits" },
  "sends a short body of a GET never": { head: `GET\n${SHORT}`, part: "x", next: "waits" },
  "sends a long body never": { head: `POST\n${LONG}`, next: "waits" },
  "ends within a long body": { head: `POST\n${LONG}`, part: "x", next: "ends" },
  "breaks off within a long body": { head: `POST\n${LONG}`, part: "x", next: "breaks off" },
  "ends within a short body": { head: `POST\n${SHORT}`, part: "x", next: "ends" },
  "ends within a chunk": { head: "POST\nTransfer-Encoding: chunked", part: "9\r\nx", next: "ends" },
  "sends what is no chunk": { head: "POST\nTransfer-Encoding: chunked", part: "nonsense\r\n", next: "waits" },
  "sends no last chunk": { head: "POST\nTransfer-Encoding: chunked", part: "1\r\nx\r\n", next: "waits" },
  "ends within an answered body": { head: `POST\n${LONG}`, at: "two-way", part: "x", next: "ends" },
  "sends no more of an answered body": { head: `POST\n${LONG}`, at: "two-way", part: "x", next: "waits" },
  "ends within an answered body of a GET": { head: `GET\n${LONG}`, at: "two-way", part: "x", next: "ends" },
  "expects a word before its body": { head: `POST\nExpect: 100-continue\n${LONG}`, next: "waits" },
  "asks for another protocol": { head: "GET\nConnection: Upgrade\nUpgrade: websocket", next: "waits" },
  "asks for a tunnel": { head: "CONNECT", next: "waits" },
  "asks for a trace": { head: "TRACE", next: "waits" },
};

const NAMES = Object.keys(ACTS);
let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      timeouts: { headers: "1500ms", requestBody: "3s", idle: "3s" },
      circuitBreaker: { failureThreshold: 1 },
      routes: NAMES.map((_, index) => ({ prefix: `/${index}`, target: `${origin.url}/${index}` })),
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

// At once, as most of them wait for a deadline.
it.concurrent.each(NAMES.map((name, index) => ({ name, index })))(
  "a client that $name is no failure of the target",
  async ({ name, index }) => {
    const act = ACTS[name];
    if (act === undefined) throw new Error(`no act is called ${name}`);
    expect((await ask(gateway.url, { target: `/${index}/before` })).status).toBe(200);
    await perform(act, `/${index}/${act.at ?? "wrong"}`);
    expect((await ask(gateway.url, { target: `/${index}/after` })).status).toBe(200);
  },
);

async function perform({ head, part = "", next }: Act, target: string): Promise<void> {
  const [method = "GET", ...lines] = head.split("\n");
  const client = await RawClient.open(gateway.url);
  try {
    await client.send(
      `${[`${method} ${target} HTTP/1.1`, "Host: gateway.test", ...lines].join("\r\n")}\r\n\r\n${part}`,
    );
    if (next === "breaks off") {
      await origin.until("the request", ({ seen }) => seen.some((one) => one.target === target));
      client.reset();
      return await origin.until("the end of each request", ({ busy }) => busy === 0);
    }
    if (next === "ends") client.finish();
    await client.answer({ method });
  } finally {
    client.close();
  }
}
