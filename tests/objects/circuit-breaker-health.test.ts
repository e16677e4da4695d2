import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { activeConfig } from "../../worker/config/active.ts";
import { Origin } from "../../worker/origin.ts";
import { CHECKED, report, TARGET, watch } from "./target-messages.ts";

const MINUTE_MS = 60_000;
const WEEK_MS = 7 * 86_400_000;

let objects = 0;

function newObject() {
  objects += 1;
  return env.CIRCUIT_BREAKER.getByName(`checked ${objects}`);
}

type Owner = ReturnType<typeof newObject>;

/** What the origin answers, and what it was asked. */
let answer: () => Response | Promise<Response>;
let asked: string[] = [];

const well = () => new Response("ready");
const sick = () => new Response("broken", { status: 500 });
const gone = () => Promise.reject(new Error("Network connection lost."));

beforeAll(async () => {
  const healthCheck = { path: "/healthz", bodyIncludes: "ready" };
  const config = {
    allowPrivateTargets: true,
    backends: {
      api: { targets: [{ url: TARGET }], healthCheck },
      plain: { targets: [{ url: "http://127.0.0.1:10" }] },
    },
    routes: [
      { id: "api", prefix: "/api", backend: "api" },
      { id: "plain", prefix: "/plain", backend: "plain" },
    ],
  };
  // As a file, which an isolate reads once and for all.
  const given = { ...env, SLUICE_CONFIG: JSON.stringify(config), SLUICE_CONFIG_VERSION: "1" };
  await activeConfig(given, { waitUntil: () => {} });
});

beforeEach(() => {
  // A day ahead, so that the runtime's own clock, which alarms go by, reaches none of the times that objects set.
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now: Date.now() + 86_400_000 });
  vi.spyOn(console, "log").mockImplementation(() => {});
  answer = well;
  asked = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    asked.push(`${init?.method} ${new Request(input).url}`);
    return answer();
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function passes(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

function alarmOf(owner: Owner): Promise<number | null> {
  return runInDurableObject(owner, (_object, { storage }) => storage.getAlarm());
}

/** Goes to the time of the alarm and lets it ring. */
async function ring(owner: Owner): Promise<void> {
  const at = await alarmOf(owner);
  if (at === null) throw new Error("no alarm is set");
  vi.setSystemTime(at);
  expect(await runDurableObjectAlarm(owner)).toBe(true);
}

/** So many checks in a row, each of which is answered so. */
async function checks(owner: Owner, count: number, by: () => Response | Promise<Response>): Promise<void> {
  answer = by;
  for (let index = 0; index < count; index += 1) await ring(owner);
}

async function watched(): Promise<Owner> {
  const owner = newObject();
  await owner.watch(watch());
  return owner;
}

async function isDown(owner: Owner): Promise<unknown> {
  return (await owner.status())?.health?.isDown;
}

describe("health checks", () => {
  it("begin within a second of the first isolate's interest, and ask what is configured", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.25);
    const owner = await watched();
    expect(await alarmOf(owner)).toBe(Date.now() + 250);
    await ring(owner);
    expect(asked).toEqual([`GET ${TARGET}/healthz`]);
    expect((await owner.status())?.health).toEqual({
      isDown: false,
      since: null,
      isChecked: true,
      checks: 1,
      lastCheck: { at: Date.now(), ok: true, status: 200, durationMs: 0, detail: "status 200" },
      terms: CHECKED,
    });
  });

  it.each([
    [0, 9_000],
    [0.5, 10_000],
    [0.999999, 11_000],
  ])("follow each other at the interval, spread by a tenth (%d)", async (random, ms) => {
    const owner = await watched();
    vi.spyOn(Math, "random").mockReturnValue(random);
    await ring(owner);
    expect(await alarmOf(owner)).toBe(Date.now() + ms);
  });

  it("call a target down after three failures and well after two successes, as every isolate is told", async () => {
    const owner = await watched();
    await checks(owner, 2, sick);
    expect((await owner.watch(watch())).news).toEqual({ downForMs: null, isDraining: false, wellForMs: null });
    await checks(owner, 1, gone);
    const downAt = Date.now();
    passes(3_000);
    expect((await owner.watch(watch())).news).toEqual({ downForMs: 3_000, isDraining: false, wellForMs: null });
    await checks(owner, 2, well);
    const wellAt = Date.now();
    passes(1_000);
    expect((await owner.report(report())).news).toEqual({ downForMs: null, isDraining: false, wellForMs: 1_000 });
    expect((await owner.status())?.events).toEqual([
      { at: wellAt, kind: "health", from: "down", to: "up", cause: "status 200", by: null },
      { at: downAt, kind: "health", from: "up", to: "down", cause: "no connection, or no HTTP", by: null },
    ]);
  });

  it("go on through evictions with what they had counted", async () => {
    const owner = await watched();
    for (const expected of [false, false, true]) {
      await checks(owner, 1, sick);
      await evictDurableObject(owner);
      expect(await isDown(owner)).toBe(expected);
    }
    await evictDurableObject(owner);
    await checks(owner, 2, well);
    expect(await isDown(owner)).toBe(false);
  });

  it("are one prober's, however many isolates watch", async () => {
    const owner = newObject();
    const isolates = Array.from({ length: 300 }, (_, index) => `isolate ${index}`);
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(isolates.map((isolate) => owner.watch(watch({ isolate }))));
      await Promise.all(isolates.map((isolate) => owner.report(report({ isolate, health: CHECKED }))));
      await ring(owner);
    }
    expect(asked).toHaveLength(3);
  });

  it("bring a target back that was down for an hour, without anybody's help", async () => {
    const owner = newObject();
    const everyMinute = { ...CHECKED, intervalMs: MINUTE_MS };
    const from = Date.now();
    answer = gone;
    while (Date.now() < from + 60 * MINUTE_MS) {
      await owner.watch(watch({ health: everyMinute }));
      await ring(owner);
    }
    expect(await isDown(owner)).toBe(true);
    await evictDurableObject(owner);
    const upFrom = Date.now();
    await checks(owner, 2, well);
    expect(await isDown(owner)).toBe(false);
    expect(Date.now() - upFrom).toBeLessThanOrEqual(2 * 1.1 * MINUTE_MS);
  });

  it("end ten minutes after the last isolate's interest, and begin again with the next", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    const owner = await watched();
    while (((await alarmOf(owner)) ?? 0) < Date.now() + MINUTE_MS) await ring(owner);
    // The first after half a second, then one each 10 s until ten minutes are over, and the alarm that finds that so.
    expect(asked).toHaveLength(60);
    expect(await owner.status()).toMatchObject({ health: { isChecked: false, checks: 60 } });
    await owner.watch(watch());
    await ring(owner);
    expect(asked).toHaveLength(61);
  });

  it("go on while one isolate asks rarely and the object is evicted each time", async () => {
    const owner = await watched();
    for (let round = 0; round < 10; round += 1) {
      passes(5 * MINUTE_MS);
      await owner.watch(watch());
      await evictDurableObject(owner);
      await ring(owner);
    }
    expect(asked).toHaveLength(10);
  });

  it("end at once when the configuration has none any more", async () => {
    const owner = newObject();
    await owner.watch(watch({ backend: "plain" }));
    const heardAt = Date.now();
    await ring(owner);
    expect((await owner.status())?.health).toBeNull();
    await ring(owner);
    expect(asked).toEqual([]);
    expect(await alarmOf(owner)).toBe(heardAt + WEEK_MS);
  });

  it("never reach what no configuration names", async () => {
    const owner = newObject();
    await owner.watch(watch({ target: "http://169.254.169.254/latest" }));
    await ring(owner);
    expect(asked).toEqual([]);
  });

  it("say nothing of the target while the isolate that is to ask has an older configuration", async () => {
    const owner = newObject();
    await owner.watch(watch({ configVersion: 7 }));
    await checks(owner, 5, gone);
    expect((await owner.status())?.health).toMatchObject({
      isDown: false,
      lastCheck: { ok: null, detail: "configuration 1 is active here, not yet 7" },
    });
  });

  it("go on when it is the gateway that fails, which is not held against the target", async () => {
    const owner = await watched();
    const failing = vi.spyOn(Origin.prototype, "checkHealth").mockRejectedValue(new Error("out of memory"));
    await checks(owner, 5, well);
    expect((await owner.status())?.health).toMatchObject({
      isDown: false,
      checks: 0,
      lastCheck: { ok: null, detail: "out of memory" },
    });
    failing.mockRestore();
    await checks(owner, 3, sick);
    expect(await isDown(owner)).toBe(true);
  });

  it("go on with the next message when storage had failed", async () => {
    const owner = await watched();
    await ring(owner);
    await runInDurableObject(owner, async (object, { storage }) => {
      storage.sql.exec("CREATE TRIGGER full BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'disk full'); END");
      await expect(object.alarm()).rejects.toThrow("disk full");
      storage.sql.exec("DROP TRIGGER full");
      await storage.deleteAlarm();
    });
    await owner.watch(watch());
    await checks(owner, 3, sick);
    expect(await isDown(owner)).toBe(true);
  });

  it("go on for isolates that have heard of none yet, as while a configuration spreads", async () => {
    const owner = await watched();
    await checks(owner, 3, sick);
    for (let round = 0; round < 4; round += 1) {
      passes(5 * MINUTE_MS);
      await owner.report(report({ backend: "plain" }));
      await checks(owner, 1, sick);
    }
    await checks(owner, 2, well);
    expect((await owner.report(report({ backend: "plain" }))).news.downForMs).toBeNull();
  });

  it("come sooner when a newer configuration wants them sooner", async () => {
    const owner = newObject();
    await owner.watch(watch({ health: { ...CHECKED, intervalMs: 60 * MINUTE_MS } }));
    await ring(owner);
    expect(await alarmOf(owner)).toBeGreaterThan(Date.now() + 50 * MINUTE_MS);
    await owner.watch(watch({ configVersion: 2 }));
    expect(await alarmOf(owner)).toBeLessThanOrEqual(Date.now() + 1_000);
  });
});
