import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { eventually } from "../support/backend-fleet.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { RawClient } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";
import { leastBetween, mostIn, startQuotaUpstream, unfairness, type QuotaUpstream } from "../support/quota-upstream.ts";

const ISOLATES = 4;
/** Preset 1 in small, so that a test sees several windows. */
const SMALL = { requests: 6, window: "2s", burst: 3, spacing: "50ms" };
const SPACING_MS = 50;
/** What clocks of this machine may differ by, between the process that starts requests and the one that sees them. */
const WINDOW_MS = 2_000 - 100;
const CLIENTS = ["a", "b", "c", "d", "e"];
const HOUR = { window: "1h" };

let upstream: QuotaUpstream;
let gateway: Gateway;

beforeAll(async () => {
  upstream = await startQuotaUpstream((path, count) => {
    if (path === "throttled" && count === 1) return { status: 429, headers: { "retry-after": "3" } };
    if (path === "failing") return { status: 503 };
    if (path === "slow") return { status: 200, afterMs: 300 };
    return undefined;
  });
  gateway = await startGateway({ isolates: ISOLATES, config: configFor(upstream) });
});

afterAll(async () => {
  await gateway?.stop();
  upstream?.stop();
});

/** A backend for each test, with a route and a path of the upstream of its name. */
function configFor({ url }: QuotaUpstream) {
  const backends: Record<string, Record<string, unknown>> = {
    small: { quota: { ...SMALL, by: "header:x-client" } },
    killed: { quota: { ...SMALL, by: "header:x-client" } },
    throttled: { quota: { requests: 1_000, window: "1s", burst: 10 } },
    full: { quota: { requests: 1, window: "4s", maxQueue: 1, by: "header:x-client" } },
    late: { quota: { requests: 1, ...HOUR } },
    one: { quota: { name: "shared", requests: 1, ...HOUR } },
    other: { quota: { name: "shared", requests: 1, ...HOUR } },
    left: { quota: { requests: 1, window: "3s" } },
    failing: {
      quota: { requests: 2, ...HOUR, backoff: { base: 1, max: 1 } },
      retry: { maxRetries: 5, budget: { ratio: 1, perSecond: 100 } },
    },
    slow: { quota: { requests: 1, ...HOUR }, hedge: { after: 20, budget: 1 } },
  };
  return {
    allowPrivateTargets: true,
    backends: Object.fromEntries(
      Object.entries(backends).map(([name, backend]) => [name, { targets: [{ url: `${url}/${name}` }], ...backend }]),
    ),
    routes: Object.keys(backends).map((name) => ({ id: name, prefix: `/${name}`, backend: name })),
  };
}

interface Answer {
  readonly status: number | "lost";
  readonly code?: unknown;
  /** `Retry-After`, in seconds. */
  readonly comeBackIn: number;
}

async function ask(name: string, isolate = 0, client = "a", at: Gateway = gateway): Promise<Answer> {
  try {
    const response = await fetch(`${at.urls[isolate]}/${name}`, { headers: { "x-client": client } });
    const text = await response.text();
    const body: { code?: unknown } =
      response.headers.get("content-type")?.includes("json") === true ? JSON.parse(text) : {};
    return { status: response.status, code: body.code, comeBackIn: Number(response.headers.get("retry-after")) };
  } catch {
    return { status: "lost", comeBackIn: 0 };
  }
}

/** So many requests of each client at once, over all isolates in turn. */
function askAtOnce(name: string, each: number, at: Gateway = gateway): Promise<Answer[]> {
  const all = CLIENTS.flatMap((client) => Array.from({ length: each }, () => client));
  return Promise.all(all.map((client, index) => ask(name, index % ISOLATES, client, at)));
}

async function logged(name: string, count: number): Promise<readonly Record<string, unknown>[]> {
  let lines: readonly Record<string, unknown>[] = [];
  await eventually(`${count} lines about ${name}`, () => {
    lines = gateway.logs().filter(({ route }) => route === name);
    return Promise.resolve(lines.length >= count);
  });
  return lines;
}

async function admin(path: string): Promise<Record<string, unknown>[]> {
  const response = await fetch(gateway.url + path, { headers: { "x-admin-key": gateway.adminToken } });
  const { quotas }: { quotas: Record<string, unknown>[] } = JSON.parse(await response.text());
  return quotas;
}

async function statusOf(quota: string): Promise<Record<string, unknown> | undefined> {
  return (await admin("/admin/egress")).find((one) => one["quota"] === quota);
}

it("keeps a quota over 4 isolates: never too many in a window, nor too close, and each client in its turn", async () => {
  const answers = await askAtOnce("small", 4);
  expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
  const arrivals = upstream.arrivals("small");
  expect(arrivals.length).toBe(20);
  expect(mostIn(arrivals, WINDOW_MS)).toBeLessThanOrEqual(SMALL.requests);
  expect(leastBetween(arrivals)).toBeGreaterThanOrEqual(SPACING_MS);
  expect(unfairness(arrivals, CLIENTS)).toBeLessThanOrEqual(2);
  const waits = (await logged("small", 20)).map(({ egressMs }) => Number(egressMs));
  expect(Math.max(...waits)).toBeGreaterThan(2_000);
});

it("leaves an upstream alone everywhere for as long as its Retry-After says", async () => {
  expect((await ask("throttled")).status).toBe(429);
  await eventually("the owner to hear of it", async () => (await statusOf("throttled"))?.["pause"] !== null);
  const answers = await askAtOnce("throttled", 2);
  expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
  const [throttled, next] = upstream.arrivals("throttled");
  expect((next?.at ?? 0) - (throttled?.at ?? 0)).toBeGreaterThanOrEqual(3_000);
});

it("refuses those that there is no room for with 503 and when to come back, and sends nothing of theirs", async () => {
  const answers = await Promise.all(CLIENTS.slice(0, 4).map((client, index) => ask("full", index, client)));
  const refused = answers.filter(({ status }) => status !== 200);
  expect(refused.map(({ status, code }) => [status, code])).toEqual(Array(2).fill([503, "egress-queue-full"]));
  expect(Math.min(...refused.map(({ comeBackIn }) => comeBackIn))).toBeGreaterThanOrEqual(1);
  expect(upstream.arrivals("full").length).toBe(2);
  const lines = (await logged("full", 4)).filter(({ status }) => status === 503);
  expect(lines.map(({ egress, refused: why }) => [egress, why])).toEqual(
    Array(2).fill(["queue-full", "egress-queue-full"]),
  );
});

it("refuses at once whose turn cannot come in time", async () => {
  expect((await ask("late", 0)).status).toBe(200);
  const { status, code, comeBackIn } = await ask("late", 1);
  expect([status, code]).toEqual([503, "egress-queue-full"]);
  expect(comeBackIn).toBeGreaterThan(3_000);
  expect((await logged("late", 2)).map(({ egress }) => egress)).toEqual([undefined, "deadline"]);
});

it("counts backends of one quota together", async () => {
  expect((await ask("one", 0)).status).toBe(200);
  expect((await ask("other", 1)).code).toBe("egress-queue-full");
  expect(await statusOf("shared")).toMatchObject({ backends: ["one", "other"], tokens: { requests: 0 } });
});

it("gives the place of a client that leaves to the next", async () => {
  expect((await ask("left", 0)).status).toBe(200);
  const leaving = await RawClient.open(gateway.urls[1] ?? "");
  await leaving.send(request({ target: "/left" }));
  await eventually("it to wait", async () => JSON.stringify(await statusOf("left")).includes('"length":1'));
  leaving.reset();
  await eventually("it to wait no more", async () => JSON.stringify(await statusOf("left")).includes('"withdrawn":1'));
  expect((await ask("left", 2)).status).toBe(200);
  expect(upstream.arrivals("left").length).toBe(2);
});

it("gives each try a slot of its own, and passes on the last answer where there is none", async () => {
  expect((await ask("failing")).status).toBe(503);
  expect(upstream.arrivals("failing").length).toBe(2);
  expect(await logged("failing", 1)).toMatchObject([{ tries: 2, retryStop: "egress-queue-full", egress: "deadline" }]);
});

it("sends no second request on suspicion that the quota has no slot for", async () => {
  expect((await ask("slow")).status).toBe(200);
  expect(upstream.arrivals("slow").length).toBe(1);
});

it("shows each quota at /admin/egress and /admin/status", async () => {
  const quotas = await admin("/admin/egress");
  expect(quotas.map(({ quota }) => quota)).toEqual([
    "small",
    "killed",
    "throttled",
    "full",
    "late",
    "shared",
    "left",
    "failing",
    "slow",
  ]);
  expect(quotas[1]).toMatchObject({ owner: "unused", policy: { requests: 6, windowMs: 2_000 } });
  expect(quotas[4]).toMatchObject({
    owner: "answered",
    tokens: { requests: 0, burst: 0 },
    queue: { length: 0, clients: 0, oldestMs: 0 },
    waits: { p50Ms: expect.any(Number) },
    counts: { granted: 1, deadline: 1 },
    pause: null,
  });
  expect((await admin("/admin/status")).length).toBe(quotas.length);
});

it("keeps it through kill -9 in the middle of a window, and serves those who ask again", async () => {
  const state = mkdtempSync(join(tmpdir(), "sluice-state-"));
  try {
    const config = configFor(upstream);
    const first = await startGateway({ isolates: ISOLATES, state, config });
    const killed = upstream.whenArrived("killed", 8).then(() => first.kill());
    const before = await askAtOnce("killed", 4, first);
    await killed;
    const lost = before.filter(({ status }) => status === "lost").length;
    expect(lost).toBeGreaterThan(0);
    const second = await startGateway({ isolates: ISOLATES, state, config });
    const clients = CLIENTS.slice(0, 4);
    const again = await Promise.all(clients.map((client, index) => ask("killed", index, client, second)));
    expect(again.map(({ status }) => status)).toEqual(Array(4).fill(200));
    await second.stop();
    const arrivals = upstream.arrivals("killed");
    expect(mostIn(arrivals, WINDOW_MS)).toBeLessThanOrEqual(SMALL.requests);
    expect(leastBetween(arrivals)).toBeGreaterThanOrEqual(SPACING_MS);
  } finally {
    rmSync(state, { recursive: true, force: true });
  }
});
