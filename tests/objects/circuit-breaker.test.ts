import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { report, TARGET, watch } from "./target-messages.ts";

const MINUTE_MS = 60_000;
/** Objects don't judge in their first second. */
const LEARNT_MS = 1_500;

let objects = 0;

function newObject() {
  objects += 1;
  return env.CIRCUIT_BREAKER.getByName(`target ${objects}`);
}

type Owner = ReturnType<typeof newObject>;

beforeEach(() => {
  // A day ahead, so that the runtime's own clock, which alarms go by, reaches none of the times that objects set.
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function passes(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

/** Names of what an object keeps: its tables, and "alarm". */
function kept(owner: Owner): Promise<unknown[]> {
  return runInDurableObject(owner, async (_object, { storage }) => {
    const names = storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray();
    const alarm = await storage.getAlarm();
    return [...names.map(({ name }) => name), ...(alarm === null ? [] : ["alarm"])];
  });
}

/** An owner whose breaker has just opened, by the vote of its only isolate. */
async function openOwner(): Promise<Owner> {
  const owner = newObject();
  await owner.report(report());
  passes(LEARNT_MS);
  expect((await owner.report(report({ isFailing: true, failed: 5 }))).circuit).toBe("open");
  return owner;
}

describe("the owner of a target", () => {
  it("stores nothing while its breaker is closed and nobody wants more", async () => {
    const owner = newObject();
    expect(await owner.status()).toBeNull();
    await owner.report(report({ ok: 100 }));
    await owner.watch(watch({ health: null }));
    expect(await kept(owner)).toEqual([]);
    expect(await owner.status()).toMatchObject({
      target: TARGET,
      backend: "api",
      circuit: "closed",
      epoch: 1,
      events: [],
    });
  });

  it("keeps its state and history through an eviction", async () => {
    const owner = await openOwner();
    const before = await owner.status();
    expect(before).toMatchObject({ circuit: "open", remainingMs: MINUTE_MS });
    await evictDurableObject(owner);
    expect(await owner.status()).toEqual({ ...before, isolates: 0, window: { ok: 0, failed: 0, slow: 0 } });
    expect(before?.events).toEqual([
      { at: Date.now(), kind: "circuit", from: "closed", to: "open", cause: "consecutive-failures", by: null },
    ]);
  });
});
