import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { Origin } from "../support/origin/origin.ts";

/** Of each fault one target, and one whose owner is well. */
const FAULTS = ["hang", "stuck", "throw", "overloaded", "abort"] as const;

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  const targets = (names: readonly string[]) => names.map((name) => ({ url: urlOf(name) }));
  gateway = await startGateway({
    entry: fileURLToPath(new URL("../support/faulty-entry.ts", import.meta.url)),
    config: {
      allowPrivateTargets: true,
      circuitBreaker: { failureThreshold: 5 },
      backends: {
        failing: { targets: targets([...FAULTS, "well"]) },
        slow: { targets: targets(["late"]) },
        dead: { targets: targets(Array.from({ length: 100 }, (_, number) => `hang-${number}`)) },
      },
      routes: ["failing", "slow", "dead"].map((name) => ({ id: name, prefix: `/${name}`, backend: name })),
    },
  });
  await acquaint("failing");
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

function urlOf(name: string): string {
  return `${origin.url}/${name}-target`;
}

test("shows what the owners that answer say, and of the others that they don't", async () => {
  const { status, body } = await admin("GET", "/backends/failing");
  const silent = FAULTS.map((name) => ({ url: urlOf(name), owner: "silent", problem: PROBLEMS[name] }));
  expect([status, body]).toMatchObject([
    200,
    { targets: [...silent, { url: urlOf("well"), owner: "answered", breaker: { state: "closed" } }] },
  ]);
});

test("says of an order which targets it has reached", async () => {
  const { status, body } = await admin("POST", "/backends/failing/open");
  const unknown = FAULTS.map((name) => ({
    url: urlOf(name),
    result: "unknown",
    owner: "silent",
    problem: PROBLEMS[name],
  }));
  expect([status, body]).toMatchObject([
    503,
    {
      code: "dependency-unavailable",
      detail: "The owners of 5 of 6 targets did not answer. An order may be given again.",
      targets: [...unknown, { url: urlOf("well"), result: "done", breaker: { state: "forced-open" } }],
    },
  ]);
});

test("waits for an owner that takes longer than a request may", async () => {
  const { status, body } = await admin("POST", "/backends/slow/open");
  expect([status, body]).toMatchObject([200, { targets: [{ result: "done", breaker: { state: "forced-open" } }] }]);
});

test("ends though a hundred owners hang", async () => {
  await acquaint("dead");
  const { status, body } = await admin("GET", "/circuit-breaker-status");
  const breakers: readonly unknown[] = Array.isArray(body["breakers"]) ? body["breakers"] : [];
  const dead = breakers.filter((one) => JSON.stringify(one).includes("/hang-"));
  expect([status, breakers.length, dead.length]).toEqual([200, 107, 101]);
  expect(dead).toEqual(dead.map(() => expect.objectContaining({ owner: "silent" })));
  expect(breakers).toContainEqual(expect.objectContaining({ target: urlOf("well"), owner: "answered" }));
});

/** Of those whose calls failed three times within a second; else what the call itself came to. */
const LEFT_ALONE = "CircuitBreaker is not asked: its last calls failed";
const PROBLEMS = {
  hang: either("CircuitBreaker did not answer within 2000 ms"),
  stuck: either("CircuitBreaker did not answer within 2000 ms"),
  throw: either("injected"),
  overloaded: either("injected"),
  abort: either("injected"),
};

function either(problem: string): unknown {
  return expect.stringMatching(new RegExp(`^(?:${problem}|${LEFT_ALONE})$`));
}

async function admin(method: string, path: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const headers = { authorization: `Bearer ${gateway.adminToken}` };
  const response = await fetch(`${gateway.url}/admin${path}`, { method, headers });
  return { status: response.status, body: JSON.parse(await response.text()) };
}

/** Lets owners hear of their targets, by which they fail; what they have heard is gone when nobody asks for ten seconds. */
async function acquaint(backend: string): Promise<void> {
  await arm("no");
  await admin("POST", `/backends/${backend}/auto`);
  await arm("yes");
}

async function arm(said: "yes" | "no"): Promise<void> {
  await (await fetch(gateway.url, { headers: { "x-test-arm": said } })).text();
}
