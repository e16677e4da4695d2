import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { callsIn, type Fleet, startFleet } from "../support/fleet/fleet.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask, type RawAnswer } from "../support/raw-client.ts";

const ISOLATES = 4;
const LARGE = 1_000;
const SMALL = 30;
const AT_ONCE = 120;
/** An idle lease travels back within 2 s; the rest is for a busy machine. */
const PATIENCE_MS = 20_000;
/** Nothing comes back while a test runs. */
const YEAR = 31_536_000;
/** How long an isolate believes what it was told of a level, in seconds. */
const BELIEVED_S = 1;

let origin: Origin;
let fleet: Fleet;

beforeAll(async () => {
  origin = await Origin.start();
  fleet = await startFleet({ isolates: ISOLATES, config: config() });
});

afterAll(async () => {
  await fleet?.stop();
  await origin?.stop();
});

function config(): unknown {
  // Only owners may decide here, however busy the machine is.
  const sure = { windowSeconds: YEAR, clients: "own", onError: "closed", deadline: "20s" };
  const mine = { name: "mine", requestsPerWindow: LARGE, by: "header:x-client", ...sure };
  const ours = { name: "ours", requestsPerWindow: SMALL, by: "route", ...sure };
  const route = (id: string, ...rateLimits: object[]) => ({ id, prefix: `/${id}`, target: origin.url, rateLimits });
  return {
    allowPrivateTargets: true,
    logging: { enabled: false },
    routes: [
      route("both-lend", mine, ours),
      route("one-lends", mine, { ...ours, mode: "strict" }),
      route("both-asked", { ...mine, mode: "strict" }, { ...ours, mode: "strict" }),
      route("windows", { ...mine, algorithm: "fixed-window" }, { ...ours, algorithm: "sliding-window" }),
      route("refusing", { ...ours, requestsPerWindow: 5 }),
      route("cold", mine),
      route("idle", mine),
    ],
  };
}

function visit(target: string, isolate: number): Promise<RawAnswer> {
  return ask(fleet.urls[isolate % ISOLATES] ?? "", { target, headers: [`X-Client: ${target}`] });
}

/** Resolves once the client's own limit has exactly so much left, and nothing of it is lent or reserved. */
async function leftOfMine(target: string, remaining: number): Promise<void> {
  const headers = [`Authorization: Bearer ${fleet.adminToken}`];
  const found = `/admin/clients?by=header:x-client&value=${target}`;
  await vi.waitFor(async () => {
    const { body } = await ask(fleet.url, { target: found, headers });
    const { clients }: { clients: { policies: Record<string, unknown>[] }[] } = JSON.parse(body.toString("utf8"));
    const counters = clients.flatMap(({ policies }) => policies);
    expect(counters.map((counter) => [counter["remaining"], counter["outstanding"]])).toEqual([[remaining, 0]]);
  }, PATIENCE_MS);
}

describe.each(["both-lend", "one-lends", "both-asked", "windows"])("limits with two owners (%s)", (route) => {
  test("let exactly as many pass as the smaller one allows over four isolates, and burn nothing of the other", async () => {
    const target = `/${route}/a`;
    // By then owners know that somebody asks, and say when an idle lease has to come back.
    const first = await Promise.all(fleet.urls.map((_, isolate) => visit(target, isolate)));
    expect(first.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const storm = await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => visit(target, index)));
    let admitted = ISOLATES + storm.filter(({ status }) => status === 200).length;
    // What one isolate was lent and did not use is another's once it has gone back.
    await vi.waitFor(async () => {
      for (let isolate = 0; isolate < ISOLATES; isolate += 1) {
        if ((await visit(target, isolate)).status === 200) admitted += 1;
      }
      expect(admitted).toBeGreaterThanOrEqual(SMALL);
    }, PATIENCE_MS);
    const last = await Promise.all(fleet.urls.map((_, isolate) => visit(target, isolate)));
    expect(admitted).toBe(SMALL);
    expect(last.map(({ status }) => status)).toEqual([429, 429, 429, 429]);
    expect(new Set(storm.map(({ status }) => status))).toEqual(new Set([200, 429]));
    await leftOfMine(target, LARGE - SMALL);
  });
});

test("a client that has nothing left is refused without a call", async () => {
  const one = async (): Promise<number> => (await visit("/refusing/a", 0)).status;
  for (let index = 0; index < 5; index += 1) expect(await one()).toBe(200);
  expect(await one()).toBe(429);
  const before = callsIn(await fleet.counts());
  const began = performance.now();
  const statuses = new Set<number>();
  for (let index = 0; index < 100; index += 1) statuses.add(await one());
  const seconds = (performance.now() - began) / 1_000;
  expect(statuses).toEqual(new Set([429]));
  expect(callsIn(await fleet.counts()) - before).toBeLessThanOrEqual(Math.ceil(seconds / BELIEVED_S));
});

test("requests of a new client that come at once share the calls that its owner gets", async () => {
  const before = callsIn(await fleet.counts());
  const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => visit("/cold/a", 0)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  const calls = callsIn(await fleet.counts()) - before;
  expect(calls).toBeLessThanOrEqual(AT_ONCE / 4);
});

test("a lease that lies idle goes back whole", async () => {
  for (let index = 0; index < 40; index += 1) expect((await visit("/idle/a", 0)).status).toBe(200);
  await leftOfMine("/idle/a", LARGE - 40);
});
