import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../support/backend-fleet.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { RawClient } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";
import { mostIn, startQuotaUpstream, unfairness, type QuotaUpstream } from "../support/quota-upstream.ts";

const ISOLATES = 4;
/** Preset 1 in small, so that a test sees several windows; without its spacing, which costs a busy machine most of its slots. */
const SMALL = { requests: 6, window: "3s", burst: 3, maxWait: "29s" };
/** By so much less than the quota's window may requests lie that are seen late here; the gate looks at milliseconds. */
const WINDOW_MS = 3_000 - 1_500;
/** The gateway counts whole milliseconds, and may take one for over that has just begun. */
const CLOCK_MS = 2;
/** Long enough for all to have come before it is over. */
const PAUSE_S = 4;
const CLIENTS = ["a", "b", "c", "d", "e"];
const HOUR = { window: "1h" };
/** As their names say; what each waits for is over before its next token comes. */
const PRESETS = [
  { preset: "30-per-minute", requests: 30, burst: 10, spacingMs: 100, maxWait: "2500ms" },
  { preset: "10-per-minute", requests: 10, burst: 3, spacingMs: 1_000, maxWait: "3s" },
  { preset: "5-per-minute", requests: 5, burst: 2, spacingMs: 2_000, maxWait: "3s" },
  { preset: "60-per-minute", requests: 60, burst: 60, spacingMs: 50, maxWait: "4s" },
];

let upstream: QuotaUpstream;
let gateway: Gateway;

beforeAll(async () => {
  upstream = await startQuotaUpstream((path, count) => {
    if (path === "small" && count === 1) return { status: 429, headers: { "retry-after": String(PAUSE_S) } };
    if (path === "failing") return { status: 503 };
    if (path === "slow") return { status: 200, afterMs: 300 };
    if (path === "told" && count === 1) return { status: 200, headers: { ratelimit: '"default";r=0;t=2' } };
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
    full: { quota: { requests: 1, window: "4s", maxQueue: 1, by: "header:x-client" } },
    classes: { quota: { requests: 1, window: "4s", maxQueue: 1 } },
    late: { quota: { requests: 1, ...HOUR } },
    one: { quota: { name: "shared", requests: 1, ...HOUR } },
    other: { quota: { name: "shared", requests: 1, ...HOUR } },
    left: { quota: { requests: 1, window: "3s" } },
    failing: {
      quota: { requests: 2, ...HOUR, backoff: { base: 1, max: 1 } },
      retry: { maxRetries: 5, budget: { ratio: 1, perSecond: 100 } },
    },
    slow: { quota: { requests: 1, ...HOUR }, hedge: { after: 20, budget: 1 } },
    told: { quota: { requests: 100, ...HOUR } },
    ...Object.fromEntries(PRESETS.map(({ preset, maxWait }) => [preset, { quota: { preset, maxWait } }])),
  };
  return {
    allowPrivateTargets: true,
    backends: Object.fromEntries(
      Object.entries(backends).map(([name, backend]) => [name, { targets: [{ url: `${url}/${name}` }], ...backend }]),
    ),
    routes: Object.keys(backends).map((name) => ({
      id: name,
      prefix: `/${name}`,
      backend: name,
      priority: { header: "x-priority" },
    })),
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
    const headers = { "x-client": client, "x-priority": client };
    const response = await fetch(`${at.urls[isolate]}/${name}`, { headers });
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

function countsIn(status: Record<string, unknown> | undefined): { readonly returned: number } {
  const { counts }: { counts?: { returned: number } } = status ?? {};
  return { returned: counts?.returned ?? Number.NaN };
}

/** What the guide shows of a quota. */
function exampleOfGuide(): unknown {
  const guide = readFileSync(new URL("../../docs/guide/egress.md", import.meta.url), "utf8");
  const [, example = ""] = /```json\n(\{\n {2}"quotas"[^`]*)```/.exec(guide) ?? [];
  const { quotas }: { quotas: unknown[] } = JSON.parse(example);
  return quotas[0];
}

/** The same without what it says: `pause` may be there or not. */
function fieldsIn(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (key, held: unknown) => {
    if (key === "pause" || key === "backends") return "any";
    return typeof held === "object" ? held : typeof held;
  });
}

async function statusOf(quota: string): Promise<Record<string, unknown> | undefined> {
  return (await admin("/admin/egress")).find((one) => one["quota"] === quota);
}

describe.concurrent("over 4 isolates, each test with a quota of its own", () => {
  it("leaves its upstream alone while that asks for it, then gives each client its turn, never too many in a window", async () => {
    expect((await ask("small")).status).toBe(429);
    const answers = askAtOnce("small", 4);
    await eventually("all to wait", async () => JSON.stringify(await statusOf("small")).includes('"length":20'));
    expect((await answers).map(({ status }) => status)).toEqual(Array(20).fill(200));
    const [throttled, ...arrivals] = upstream.arrivals("small");
    expect((arrivals[0]?.at ?? 0) - (throttled?.at ?? 0)).toBeGreaterThanOrEqual(PAUSE_S * 1_000 - CLOCK_MS);
    expect(arrivals.length).toBe(20);
    expect(mostIn(arrivals, WINDOW_MS)).toBeLessThanOrEqual(SMALL.requests);
    // A slot that an isolate was too busy for costs its client a turn.
    const { returned } = countsIn(await statusOf("small"));
    expect(unfairness(arrivals, CLIENTS)).toBeLessThanOrEqual(2 + returned);
    expect(fieldsIn(await statusOf("small"))).toEqual(fieldsIn(exampleOfGuide()));
    const waits = (await logged("small", 21)).map(({ egressMs }) => Number(egressMs));
    expect(Math.max(...waits)).toBeGreaterThan(2_000);
  });

  it("refuses those that there is no room for with 503 and when to come back, and sends nothing of theirs", async () => {
    const answers = await Promise.all(CLIENTS.slice(0, 4).map((client, index) => ask("full", index, client)));
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused.map(({ status, code }) => [status, code])).toEqual(
      Array.from({ length: 2 }, () => [503, "egress-queue-full"]),
    );
    expect(Math.min(...refused.map(({ comeBackIn }) => comeBackIn))).toBeGreaterThanOrEqual(1);
    expect(upstream.arrivals("full").length).toBe(2);
    const lines = (await logged("full", 4)).filter(({ status }) => status === 503);
    expect(lines.map(({ egress, refused: why }) => [egress, why])).toEqual(
      Array.from({ length: 2 }, () => ["queue-full", "egress-queue-full"]),
    );
  });

  it("gives the room of one that waits to a request of a higher class", async () => {
    expect((await ask("classes")).status).toBe(200);
    const normal = ask("classes", 1);
    await eventually("it to wait", async () => JSON.stringify(await statusOf("classes")).includes('"length":1'));
    expect((await ask("classes", 2, "critical")).status).toBe(200);
    expect((await normal).code).toBe("egress-queue-full");
    expect(upstream.arrivals("classes").map(({ client }) => client)).toEqual(["a", "critical"]);
  });

  it("refuses at once whose turn cannot come in time", async () => {
    expect((await ask("late", 0)).status).toBe(200);
    const { status, code, comeBackIn } = await ask("late", 1);
    expect([status, code]).toEqual([503, "egress-queue-full"]);
    expect(comeBackIn).toBeGreaterThan(3_000);
    expect(await statusOf("late")).toMatchObject({
      owner: "answered",
      backends: ["late"],
      tokens: { requests: 0, burst: 0 },
      queue: { length: 0, clients: 0, oldestMs: 0 },
      waits: { p50Ms: expect.any(Number) },
      counts: { granted: 1, deadline: 1 },
      pause: null,
    });
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
    await eventually("it to wait no more", async () =>
      JSON.stringify(await statusOf("left")).includes('"withdrawn":1'),
    );
    expect((await ask("left", 2)).status).toBe(200);
    expect(upstream.arrivals("left").length).toBe(2);
  });

  it("gives each try a slot of its own, and passes on the last answer where there is none", async () => {
    expect((await ask("failing")).status).toBe(503);
    expect(upstream.arrivals("failing").length).toBe(2);
    expect(await logged("failing", 1)).toMatchObject([
      { tries: 2, retryStop: "egress-queue-full", egress: "deadline" },
    ]);
  });

  it("sends no second request on suspicion that the quota has no slot for", async () => {
    expect((await ask("slow")).status).toBe(200);
    expect(upstream.arrivals("slow").length).toBe(1);
  });

  it("waits for as long as the upstream's RateLimit field says when nothing is left", async () => {
    expect((await ask("told")).status).toBe(200);
    await eventually("the owner to know", async () => (await statusOf("told"))?.["pause"] !== null);
    expect((await ask("told", 1)).status).toBe(200);
    const [first, second] = upstream.arrivals("told");
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(2_000 - CLOCK_MS);
  });

  it.each(PRESETS)("keeps to what the preset $preset says", async ({ preset, requests, burst, spacingMs }) => {
    const began = performance.now();
    const answers = await Promise.all(
      Array.from({ length: burst + 3 }, (_, index) => ask(preset, index % ISOLATES, "a")),
    );
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused.length).toBeGreaterThanOrEqual(2);
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(["egress-queue-full"]));
    const arrivals = upstream.arrivals(preset);
    expect(arrivals.length).toBe(answers.length - refused.length);
    // From before the first was asked for: when that came is seen late where this machine is busy.
    expect((arrivals.at(-1)?.at ?? 0) - began).toBeGreaterThanOrEqual((arrivals.length - 1) * spacingMs - CLOCK_MS);
    expect(arrivals.length).toBeGreaterThanOrEqual(2);
    expect((await statusOf(preset))?.["policy"]).toMatchObject({ requests, windowMs: 60_000, burst, spacingMs });
  });
});

it("shows each quota at /admin/egress and /admin/status, used or not", async () => {
  const quotas = await admin("/admin/egress");
  expect(quotas.map(({ quota }) => quota)).toEqual([
    "small",
    "killed",
    "full",
    "classes",
    "late",
    "shared",
    "left",
    "failing",
    "slow",
    "told",
    ...PRESETS.map(({ preset }) => preset),
  ]);
  expect(quotas[1]).toMatchObject({ owner: "unused", policy: { requests: 6, windowMs: 3_000 } });
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
  } finally {
    rmSync(state, { recursive: true, force: true });
  }
});
