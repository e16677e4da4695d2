import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask, type RawAnswer } from "../support/raw-client.ts";

const FAULTS = ["hang", "stuck", "throw", "abort"] as const;
/** More than a lease lends at once, so that what passes without the owner is what was lent. */
const AMPLE = { requestsPerWindow: 10_000, windowSeconds: 3_600, clients: "own", by: "route" };
const FEW = { ...AMPLE, requestsPerWindow: 3 };
/** Enough requests in a row for the owner to see a rate that is worth a lease. */
const WARM_UP = 40;
/** More than any lease that this rate is worth. */
const BEYOND = 300;

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  const routes = FAULTS.flatMap((fault) => [
    ...(["closed", "local", "open"] as const).map((onError) => ({
      id: `${fault}-${onError}`,
      limit: { ...AMPLE, onError },
    })),
    { id: `${fault}-refused`, limit: { ...FEW, onError: "open" } },
    { id: `${fault}-dead`, limit: { ...AMPLE, onError: "open" } },
  ]);
  gateway = await startGateway({
    entry: fileURLToPath(new URL("../support/faulty-entry.ts", import.meta.url)),
    config: {
      allowPrivateTargets: true,
      routes: routes.map(({ id, limit }) => ({ id, prefix: `/${id}`, target: origin.url, rateLimit: limit })),
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

describe.each(FAULTS)("while a lease is live, an owner that fails by %s", (fault) => {
  test("does not stop its client, until what was lent is spent and the route closes", async () => {
    await arm(false);
    await askTimes(`/${fault}-closed`, WARM_UP);
    await arm(true);
    const { passed, last } = await askUntilRefused(`/${fault}-closed`);
    expect(passed).toBeGreaterThan(0);
    expect(last.status).toBe(503);
    const lines = await linesOf(`${fault}-closed`, WARM_UP + passed + 1);
    // What passed was decided here, without the owner and without a policy for its silence.
    const waited = lines
      .slice(WARM_UP)
      .filter(({ status, limitMs, degraded }) => status === 200 && (limitMs ?? degraded));
    expect(waited).toEqual([]);
  });

  test.each(["local", "open"] as const)(
    "does not stop its client, and then leaves it to the policy %s",
    async (onError) => {
      await arm(false);
      const id = `${fault}-${onError}`;
      await askTimes(`/${id}`, WARM_UP);
      await arm(true);
      const answers = await askTimes(`/${id}`, BEYOND);
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      const lines = await linesOf(id, WARM_UP + BEYOND);
      const degraded = lines.slice(WARM_UP).map((line) => line["degraded"]);
      const first = degraded.findIndex((policies) => policies !== undefined);
      expect(first).toBeGreaterThan(0);
      expect(degraded[first]).toEqual([`route:${id}: ${onError}`]);
    },
  );
});

describe.each(FAULTS)("an owner that fails by %s", (fault) => {
  test("is not asked about a client that is known to have nothing left", async () => {
    await arm(false);
    const id = `${fault}-refused`;
    let since = performance.now();
    expect(statuses(await askTimes(`/${id}`, 4))).toEqual([200, 200, 200, 429]);
    let asked = 8;
    await arm(true);
    let answers = await askTimes(`/${id}`, 4);
    // What is known is good for a second: where four requests took longer, nothing is said, and all is done again.
    while (performance.now() - since >= 1_000) {
      await arm(false);
      await pause(1_000);
      do {
        since = performance.now();
        asked += 1;
      } while ((await ask(gateway.url, { target: `/${id}` })).status !== 429);
      await arm(true);
      answers = await askTimes(`/${id}`, 4);
      asked += 4;
    }
    expect(statuses(answers)).toEqual(answers.map(() => 429));
    // A token comes every 1,200 s.
    const waits = answers.map(({ headers }) => Number(valueOf(headers, "retry-after")));
    expect(waits.filter((seconds) => seconds <= 1_100 || seconds > 1_200)).toEqual([]);
    const lines = await linesOf(id, asked);
    expect(lines.slice(-4).filter(({ limitMs, degraded }) => limitMs !== undefined || degraded !== undefined)).toEqual(
      [],
    );
  });

  test("costs a few requests their deadline, and not each", async () => {
    await arm(true);
    const id = `${fault}-dead`;
    const began = performance.now();
    const answers = await askTimes(`/${id}`, 30);
    const seconds = Math.ceil((performance.now() - began) / 1_000);
    expect(statuses(answers)).toEqual(answers.map(() => 200));
    const lines = await linesOf(id, 30);
    expect(lines.filter(({ degraded }) => degraded !== undefined)).toHaveLength(30);
    // Three, and one more for each second that this takes; some more wait for a machine that is busy.
    expect(lines.filter(({ limitMs }) => Number(limitMs ?? 0) >= 100).length).toBeLessThanOrEqual(6 + 2 * seconds);
  });
});

async function arm(isArmed: boolean): Promise<void> {
  await ask(gateway.url, { target: "/", headers: [`X-Test-Arm: ${isArmed ? "yes" : "no"}`] });
}

async function askTimes(path: string, times: number): Promise<readonly RawAnswer[]> {
  const answers: RawAnswer[] = [];
  for (let index = 0; index < times; index++) answers.push(await ask(gateway.url, { target: path }));
  return answers;
}

async function askUntilRefused(path: string): Promise<{ readonly passed: number; readonly last: RawAnswer }> {
  for (let passed = 0; passed < BEYOND; passed++) {
    const last = await ask(gateway.url, { target: path });
    if (last.status !== 200) return { passed, last };
  }
  throw new Error(`${BEYOND} requests passed without an owner`);
}

function statuses(answers: readonly RawAnswer[]): readonly number[] {
  return answers.map(({ status }) => status);
}

/** The log lines of a route, once as many are there as it had requests: they come through a pipe. */
async function linesOf(route: string, requests: number): Promise<readonly Record<string, unknown>[]> {
  for (const deadline = Date.now() + 15_000; Date.now() < deadline;) {
    const lines = gateway.logs().filter((line) => line["route"] === route);
    if (lines.length >= requests) return lines;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`wanted ${requests} log lines of ${route}`);
}
