import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { Origin } from "../support/origin/origin.ts";
import { problemOf } from "../support/problem.ts";
import { ask, RawClient, type RawAnswer } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";

const ISOLATES = 4;
const LIMIT = 6;
/** Permits that nobody uses go back within a second; the rest is for a busy machine. */
const PATIENCE_MS = 15_000;

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  gateway = await startGateway({ isolates: ISOLATES, config: config() });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

function config(): unknown {
  // Only the owner may decide here, however busy the machine is.
  const strict = { onError: "closed", deadline: "20s" };
  const inFlight = { name: "in-flight", algorithm: "concurrency", by: "route", maxConcurrent: LIMIT, ...strict };
  const one = { ...inFlight, name: "one", maxConcurrent: 1 };
  const hourly = { name: "hourly", requestsPerWindow: 2, windowSeconds: 3600, by: "route", mode: "strict", ...strict };
  const routes = ["crowd", "left", "streamed"].map((id) => ({
    id,
    prefix: `/${id}`,
    target: origin.url,
    rateLimits: [inFlight],
  }));
  return {
    allowPrivateTargets: true,
    routes: [
      ...routes,
      {
        id: "failing",
        prefix: "/failing",
        target: origin.url,
        rateLimits: [one],
        timeouts: { headers: 2_000, idle: 300 },
      },
      { id: "both", prefix: "/both", target: origin.url, rateLimits: [one, hourly] },
      { id: "shadowed", prefix: "/shadowed", target: origin.url, rateLimits: [{ ...one, shadow: true }] },
    ],
  };
}

const clients: RawClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.reset();
  await origin.until("nothing is in flight", ({ busy }) => busy === 0);
});

/** A request that the origin has begun to serve. Tries again while it is refused: permits travel over their owner. */
async function occupy(url: string, target: string): Promise<RawClient> {
  const deadline = Date.now() + PATIENCE_MS;
  const before = origin.busy;
  for (;;) {
    const client = await RawClient.open(url);
    clients.push(client);
    await client.send(request({ target }));
    const isServed = origin
      .until(`a request for ${target}`, ({ busy }) => busy > before)
      .then(
        () => true,
        () => false,
      );
    const answered = client.answer();
    const answer = await Promise.race([isServed, answered]);
    if (answer === true) return client;
    if (Date.now() > deadline) throw new Error(`no request for ${target} was served within ${PATIENCE_MS} ms`);
  }
}

/** Requests that are being served, spread over the isolates. */
async function occupyAll(target: string, many: number): Promise<readonly RawClient[]> {
  const occupied: RawClient[] = [];
  for (let index = 0; index < many; index += 1) occupied.push(await occupy(urlOf(index), target));
  return occupied;
}

function urlOf(index: number): string {
  return gateway.urls[index % ISOLATES] ?? "";
}

/** The first answer that is not a refusal. */
async function admitted(url: string, target: string): Promise<RawAnswer> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask(url, { target });
    if (answer.status !== 429 || Date.now() > deadline) return answer;
  }
}

function violated({ body }: RawAnswer): unknown {
  const problem: Record<string, unknown> = JSON.parse(body.toString("utf8"));
  return problem["violated-policies"];
}

describe("a limit of requests in flight over four isolates", () => {
  test("admits as many as it says, refuses one more on each, and takes another when one has ended", async () => {
    await occupyAll("/crowd/held", LIMIT);
    const refused = await Promise.all(gateway.urls.map((url) => ask(url, { target: "/crowd/more" })));
    expect(refused.map(problemOf)).toEqual(gateway.urls.map(() => ({ status: 429, code: "quota-exceeded" })));
    expect(refused.map(({ headers }) => valueOf(headers, "retry-after"))).toEqual(["1", "1", "1", "1"]);
    const headers = refused[0]?.headers ?? [];
    expect(valueOf(headers, "ratelimit-policy")).toMatch(/^"in-flight";q=6;qu="concurrent-requests";pk=:\w{24}:$/);
    expect(valueOf(headers, "ratelimit")).toMatch(/^"in-flight";r=0;t=1;pk=:\w{24}:$/);
    expect(origin.seenAt("/more")).toEqual([]);

    origin.release();
    // The permit was another isolate's.
    expect((await admitted(urlOf(3), "/crowd/more")).status).toBe(200);
    expect(origin.busy).toBe(LIMIT - 1);
  });

  test("is free again when clients reset their connections before an answer, and the origin with it", async () => {
    for (const client of await occupyAll("/left/held", LIMIT)) client.reset();
    await origin.until("the origin is left alone", ({ busy }) => busy === 0);
    // All of them, by an isolate that had none or one.
    for (let index = 0; index < LIMIT; index += 1) await occupy(urlOf(3), "/left/held");
    expect(problemOf(await ask(urlOf(3), { target: "/left/more" }))?.status).toBe(429);
  });

  test("counts a streamed answer until its end, and frees it when its client leaves in the middle", async () => {
    const streams = await occupyAll("/streamed/sse?events=3", LIMIT);
    for (const _ of streams) origin.release();
    expect(problemOf(await ask(urlOf(1), { target: "/streamed/more" }))?.status).toBe(429);
    streams[0]?.reset();
    expect((await admitted(urlOf(1), "/streamed/more")).status).toBe(200);
    for (let event = 0; event < 2 * (LIMIT - 1); event += 1) origin.release();
    await origin.until("all streams have ended", ({ busy }) => busy === 0);
    for (let index = 0; index < LIMIT; index += 1) await occupy(urlOf(2), "/streamed/held");
  });
});

describe("a limit of one request in flight", () => {
  test("is free again after an origin that fails", async () => {
    const statuses: number[] = [];
    const faults = [
      "close-before-head",
      "hang-before-head",
      "status-999",
      "reset-in-small-body",
      "reset-in-large-body",
    ];
    for (const fault of [...faults, "hang-in-chunked-body"]) {
      statuses.push((await ask(urlOf(0), { target: `/failing/fault/${fault}` })).status);
    }
    expect(statuses).toEqual([502, 504, 502, 502, 200, 200]);
    expect((await ask(urlOf(0), { target: "/failing/more" })).status).toBe(200);
  });

  test("is free again after a refusal by another limit", async () => {
    const answers = [];
    for (let index = 0; index < 5; index += 1) answers.push(await ask(urlOf(0), { target: "/both/more" }));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429, 429, 429]);
    expect(answers.slice(2).map(violated)).toEqual([["hourly"], ["hourly"], ["hourly"]]);
  });

  test("only reports in shadow mode", async () => {
    await occupy(urlOf(0), "/shadowed/held");
    const answers = await Promise.all(gateway.urls.map((url) => ask(url, { target: "/shadowed/more" })));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(answers.map(({ headers }) => valueOf(headers, "ratelimit"))).toEqual(gateway.urls.map(() => undefined));
    // The lines come over a pipe, some time after the answers.
    await vi.waitFor(() => {
      const logged = gateway.logs().filter(({ path }) => path === "/shadowed/more");
      expect(logged.map(({ shadowed }) => shadowed)).toEqual(gateway.urls.map(() => ["route:shadowed:one"]));
    }, PATIENCE_MS);
  });
});
