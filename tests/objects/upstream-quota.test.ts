import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AcquireMessage, AcquireReply } from "../../objects/upstream-quota/quota-messages.ts";
import type { QuotaPolicy } from "../../objects/upstream-quota/quota-policy.ts";
import { QUOTA_PRESETS } from "../../schemas/policies/backends/quota.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** Two in any minute, nothing else. */
const TWO: QuotaPolicy = { ...QUOTA_PRESETS["30-per-minute"], requests: 2, burst: 2, spacingMs: 0 };

/** The first slot of an object, which nobody has used. */
const ONE = { id: 1, count: 1 };

let objects = 0;
let seq = 0;

function newObject() {
  objects += 1;
  return env.UPSTREAM_QUOTA.getByName(`quota ${objects}`);
}

type Owner = ReturnType<typeof newObject>;

beforeEach(() => {
  // A day ahead, so that the runtime's own clock, which alarms go by, reaches none of the times that objects set.
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now: Date.now() + DAY_MS });
  vi.spyOn(console, "log").mockImplementation(() => {});
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const TERMS = { quota: "provider", configVersion: 1, policy: TWO };

function message(client: string, changes: Partial<AcquireMessage> = {}): AcquireMessage {
  seq += 1;
  const waiting = { waitMs: 120_000, toleranceMs: 50, spare: 0, unused: [] };
  return { v: 1, isolate: "a", seq, client, priority: "normal", ...waiting, ...TERMS, ...changes };
}

/** Lets time pass; timers of the object run inside it. */
async function passes(owner: Owner, ms: number): Promise<void> {
  await runInDurableObject(owner, () => void vi.advanceTimersByTime(ms));
}

/** Asks, and keeps what is answered, shortly, under the client's name. */
function asking(owner: Owner) {
  const answers: Record<string, string> = {};
  const calls: Promise<unknown>[] = [];

  async function keep(client: string, call: Promise<AcquireReply>): Promise<void> {
    try {
      answers[client] = wordOf(await call);
    } catch (error) {
      answers[client] = `failed: ${String(error)}`;
    }
  }

  async function ask(client: string, changed: Partial<AcquireMessage> = {}): Promise<void> {
    calls.push(keep(client, owner.acquire(message(client, changed))));
    // Whatever is asked next comes after it.
    await owner.ping();
  }

  return { answers, ask, all: () => Promise.all(calls) };
}

function wordOf(reply: AcquireReply): string {
  if (reply.kind === "refused") return reply.why;
  return `slot ${reply.slots.map(({ id }) => id).join(" ")} after ${reply.heldMs}`;
}

function kept(owner: Owner): Promise<unknown[]> {
  return runInDurableObject(owner, async (_object, { storage }) => {
    const names = storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray();
    const alarm = await storage.getAlarm();
    return [...names.map(({ name }) => name), ...(alarm === null ? [] : ["alarm"])];
  });
}

function timers(owner: Owner): Promise<number> {
  return runInDurableObject(owner, () => vi.getTimerCount());
}

function changes(owner: Owner): Promise<number> {
  return runInDurableObject(owner, (_object, { storage }) =>
    Number(storage.sql.exec("SELECT total_changes() AS changes").one()["changes"]),
  );
}

describe("the owner of a quota", () => {
  it("answers at once while there are slots, and the next when its slot has come", async () => {
    const owner = newObject();
    const { ask, answers, all } = asking(owner);
    for (const client of ["a", "b", "c"]) await ask(client);
    expect(answers).toEqual({ a: "slot 1 after 0", b: "slot 2 after 0" });
    await passes(owner, 59_000);
    expect(Object.keys(answers)).toEqual(["a", "b"]);
    await passes(owner, 2_000);
    await all();
    expect(answers["c"]).toMatch(/^slot 3 after 60\d\d\d$/);
  });

  it("tells how long it held a question, which is what an isolate reckons with", async () => {
    const owner = newObject();
    await owner.acquire(message("a"));
    await owner.acquire(message("a"));
    const waiting = owner.acquire(message("b"));
    await owner.ping();
    const heldMs = (await owner.status())?.tokens.nextInMs ?? 0;
    await passes(owner, heldMs);
    expect(await waiting).toEqual({
      v: 1,
      kind: "granted",
      heldMs,
      // Longer by what their clocks may have run apart.
      slots: [{ id: 3, inMs: 0, forMs: 50 + Math.ceil(heldMs * 0.002), count: 1 }],
      epoch: 1,
      wantsSuccess: false,
    });
  });

  it("answers calls one by one as their slots come by the runtime's own clock", async () => {
    vi.useRealTimers();
    const owner = newObject();
    const policy = { ...TWO, requests: 10, burst: 10, spacingMs: 20 };
    const calls = ["a", "b", "c"].map((client) => owner.acquire(message(client, { policy, toleranceMs: 10 })));
    const replies = await Promise.all(calls);
    const ids = replies.flatMap((reply) => (reply.kind === "granted" ? reply.slots.map(({ id }) => id) : []));
    expect(ids).toEqual([1, 2, 3]);
    expect(await owner.status()).toMatchObject({ queue: { length: 0 }, counts: { granted: 3 } });
  });

  it("has one timer while somebody waits, and none after", async () => {
    const owner = newObject();
    const { ask, all } = asking(owner);
    for (const client of ["a", "b", "c", "d", "e"]) await ask(client, { waitMs: 70_000 });
    expect(await timers(owner)).toBe(1);
    await passes(owner, 70_000);
    await all();
    expect(await timers(owner)).toBe(0);
  });

  it("writes one row for each grant, and nothing for those that wait or are refused", async () => {
    const owner = newObject();
    const { ask, answers } = asking(owner);
    await ask("a");
    const before = await changes(owner);
    await ask("b");
    expect((await changes(owner)) - before).toBe(1);
    await ask("c");
    await ask("d", { waitMs: 10 });
    expect((await changes(owner)) - before).toBe(1);
    expect(answers["d"]).toBe("deadline");
  });

  it("refuses at the deadline of each, at the latest", async () => {
    const owner = newObject();
    const { ask, answers, all } = asking(owner);
    await ask("a");
    await ask("b");
    await ask("short", { waitMs: 30_000 });
    await ask("long", { waitMs: 61_000 });
    await ask("longer", { waitMs: 61_000 });
    await ask("last", { waitMs: 61_000 });
    await passes(owner, 61_000);
    await all();
    expect(answers).toMatchObject({
      short: "deadline",
      long: expect.stringMatching(/^slot 3/),
      longer: expect.stringMatching(/^slot 4/),
      last: "deadline",
    });
  });

  it("refuses whoever finds no room, and says when to come again", async () => {
    const owner = newObject();
    const policy = { ...TWO, maxQueue: 1 };
    const { ask } = asking(owner);
    for (const client of ["a", "b", "c"]) await ask(client, { policy });
    const { tokens } = (await owner.status()) ?? {};
    const reply = await owner.acquire(message("d", { policy }));
    // After the one that waits, which is served when the first has left the window.
    const retryAfterMs = (tokens?.nextInMs ?? 0) + 30_000;
    expect(reply).toEqual({ v: 1, kind: "refused", why: "queue-full", retryAfterMs });
  });

  it("gives the slot of a request that has left to the next", async () => {
    const owner = newObject();
    const { ask, answers, all } = asking(owner);
    await ask("a");
    await ask("b");
    await ask("leaves");
    await owner.release({ v: 1, isolate: "a", withdrawn: [seq], unused: [] });
    await ask("c");
    await passes(owner, 61_000);
    await all();
    expect(answers["c"]).toMatch(/^slot 3/);
    expect((await owner.status())?.counts).toMatchObject({ granted: 3, withdrawn: 1 });
  });

  it("gives on a slot that comes back unused, with a release or with the next question", async () => {
    const owner = newObject();
    const { ask, answers, all } = asking(owner);
    for (const client of ["a", "b", "c"]) await ask(client);
    await owner.release({ v: 1, isolate: "a", withdrawn: [], unused: [ONE, ONE] });
    await all();
    expect(answers["c"]).toBe("slot 3 after 0");
    await ask("d", { unused: [{ id: 2, count: 1 }] });
    await all();
    expect(answers["d"]).toBe("slot 4 after 0");
  });

  it("lends slots ahead where many are allowed", async () => {
    const owner = newObject();
    const policy = { ...TWO, requests: 6_000, burst: 100 };
    const reply = await owner.acquire(message("a", { policy, spare: 3 }));
    expect(reply).toMatchObject({ slots: [ONE, { id: 2, count: 3 }] });
    expect((await owner.status())?.counts).toMatchObject({ granted: 1, ahead: 3 });
    await owner.release({ v: 1, isolate: "a", withdrawn: [], unused: [{ id: 2, count: 2 }] });
    expect(await owner.status()).toMatchObject({ tokens: { burst: 98 }, counts: { returned: 2 } });
  });
});

describe("a pause", () => {
  it("holds everyone for as long as the upstream has said, and is logged", async () => {
    const logged = vi.spyOn(console, "log").mockImplementation(() => {});
    const owner = newObject();
    const { ask, answers, all } = asking(owner);
    await ask("a");
    const reply = await owner.signal({ v: 1, epoch: 1, signal: { kind: "throttled", retryAfterMs: 3_000 }, ...TERMS });
    expect(reply).toEqual({ v: 1, pausedMs: 3_000 });
    await ask("b");
    await passes(owner, 2_999);
    expect(answers).toEqual({ a: "slot 1 after 0" });
    await passes(owner, 1);
    await all();
    expect(answers["b"]).toBe("slot 2 after 3000");
    expect(logged.mock.calls.map(([line]) => JSON.parse(String(line)))).toEqual([
      { level: "warn", event: "egress-paused", quota: "provider", cause: "retry-after", pausedMs: 3_000, throttles: 1 },
    ]);
  });

  it("outlasts an eviction", async () => {
    const owner = newObject();
    await owner.signal({ v: 1, epoch: 1, signal: { kind: "exhausted", resetMs: 20_000 }, ...TERMS });
    vi.setSystemTime(Date.now() + 5_000);
    await evictDurableObject(owner);
    expect(await owner.status()).toMatchObject({ pause: { remainingMs: 15_000, cause: "rate-limit" }, throttles: 0 });
  });

  it("without a time is one of full jitter, and a success ends the row", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    const owner = newObject();
    const throttled = { v: 1, signal: { kind: "throttled", retryAfterMs: null }, ...TERMS } as const;
    expect((await owner.signal({ ...throttled, epoch: 1 })).pausedMs).toBe(500);
    expect((await owner.signal({ ...throttled, epoch: 1 })).pausedMs).toBe(500);
    expect((await owner.signal({ ...throttled, epoch: 2 })).pausedMs).toBe(1_000);
    vi.setSystemTime(Date.now() + 1_000);
    expect(await owner.acquire(message("a"))).toMatchObject({ kind: "granted", epoch: 3, wantsSuccess: true });
    await owner.signal({ v: 1, epoch: 3, signal: { kind: "ok" }, ...TERMS });
    expect(await owner.acquire(message("a"))).toMatchObject({ kind: "granted", epoch: 3, wantsSuccess: false });
  });
});

describe("an eviction", () => {
  it("loses no grant: what was granted stays counted", async () => {
    const owner = newObject();
    await owner.acquire(message("a"));
    await owner.acquire(message("a"));
    await evictDurableObject(owner);
    const { ask, answers } = asking(owner);
    await ask("b", { waitMs: 50_000 });
    expect(answers).toEqual({ b: "deadline" });
    expect((await owner.status())?.tokens).toMatchObject({ requests: 0, burst: 0 });
  });

  it("makes what could have come back stay counted, and the next slot has a new id", async () => {
    const owner = newObject();
    await owner.acquire(message("a"));
    await evictDurableObject(owner);
    await owner.release({ v: 1, isolate: "a", withdrawn: [], unused: [ONE] });
    expect(wordOf(await owner.acquire(message("b")))).toBe("slot 2 after 0");
    expect(wordOf(await owner.acquire(message("b", { waitMs: 0 })))).toBe("deadline");
  });

  it("that is a crash fails the calls of all who wait, who ask again and are served", async () => {
    const owner = newObject();
    const { ask, answers, all } = asking(owner);
    for (const client of ["a", "b", "c"]) await ask(client);
    await runInDurableObject(owner, (_object, ctx) => ctx.abort("killed by the test")).catch(() => {});
    // Real ones end with their instance.
    vi.clearAllTimers();
    await all();
    expect(answers["c"]).toMatch(/^failed: /);
    const again = newStub(owner);
    const second = asking(again);
    await second.ask("c");
    await passes(again, 61_000);
    await second.all();
    expect(second.answers["c"]).toMatch(/^slot 3/);
  });
});

describe("a grant that cannot be written", () => {
  it("is never told: all who wait are failed, and nothing is counted", async () => {
    const owner = newObject();
    await owner.acquire(message("a"));
    await runInDurableObject(owner, async (object, { storage }) => {
      storage.sql.exec("CREATE TRIGGER full BEFORE UPDATE ON quota BEGIN SELECT RAISE(ABORT, 'disk full'); END");
      await expect(object.acquire(message("b"))).rejects.toThrow("disk full");
      expect(object.status()).toMatchObject({ tokens: { requests: 1 }, queue: { length: 0 } });
      storage.sql.exec("DROP TRIGGER full");
    });
    expect(wordOf(await owner.acquire(message("b")))).toBe("slot 2 after 0");
  });

  it("is never told to those who wait for it either", async () => {
    const errors = vi.spyOn(console, "error").mockImplementation(() => {});
    const owner = newObject();
    const { ask, answers, all } = asking(owner);
    for (const client of ["a", "b", "c"]) await ask(client);
    await runInDurableObject(owner, (_object, { storage }) => {
      storage.sql.exec("CREATE TRIGGER full BEFORE UPDATE ON quota BEGIN SELECT RAISE(ABORT, 'disk full'); END");
      vi.advanceTimersByTime(61_000);
    });
    await all();
    expect(answers["c"]).toMatch(/^failed: .*disk full/);
    expect(errors).toHaveBeenCalledOnce();
    expect(await timers(owner)).toBe(0);
  });
});

describe("a row that cannot be read", () => {
  it("is logged, and all of the quota counts as used", async () => {
    const errors = vi.spyOn(console, "error").mockImplementation(() => {});
    const owner = newObject();
    await owner.acquire(message("a"));
    await runInDurableObject(owner, (_object, { storage }) => void storage.sql.exec("UPDATE quota SET state = '{}'"));
    await evictDurableObject(owner);
    expect(await owner.status()).toBeNull();
    const { ask, answers, all } = asking(owner);
    await ask("b", { waitMs: 50_000 });
    expect(answers["b"]).toBe("deadline");
    await ask("c");
    await passes(owner, 61_000);
    await all();
    expect(answers["c"]).toMatch(/^slot \d{16} after 60/);
    expect(errors.mock.calls.map(([line]) => JSON.parse(String(line)))).toEqual([
      { level: "error", event: "upstream-quota-record-lost" },
    ]);
  });
});

describe("a quota that nobody uses", () => {
  it("is forgotten with all storage, an hour after it is whole again", async () => {
    const owner = newObject();
    expect(await owner.status()).toBeNull();
    expect(await kept(owner)).toEqual([]);
    await owner.acquire(message("a"));
    expect(await kept(owner)).toEqual(["quota", "alarm"]);
    vi.setSystemTime(Date.now() + HOUR_MS);
    await owner.acquire(message("a"));
    vi.setSystemTime(Date.now() + 2 * MINUTE_MS);
    await runDurableObjectAlarm(owner);
    expect(await kept(owner)).toEqual(["quota", "alarm"]);
    vi.setSystemTime(Date.now() + HOUR_MS);
    await runDurableObjectAlarm(owner);
    expect(await kept(owner)).toEqual([]);
    expect(await owner.status()).toBeNull();
    expect(wordOf(await owner.acquire(message("a")))).toBe("slot 1 after 0");
  });
});

describe("a malformed message", () => {
  it("is refused in words by every method", async () => {
    const owner = newObject();
    await runInDurableObject(owner, (object) => {
      expect(() => object.acquire(message("a", { waitMs: -1 }))).toThrow(
        new TypeError("cannot grant a slot: waitMs: got -1, wanted an integer from 0 to 300000"),
      );
      expect(() => object.signal({ v: 1, epoch: -1, signal: { kind: "ok" }, ...TERMS })).toThrow(
        "cannot take the signal: epoch: got -1, wanted an integer >= 0",
      );
      expect(() => object.release({ v: 1, isolate: "", withdrawn: [], unused: [] })).toThrow(
        "cannot release: isolate: got , wanted 1 to 64 characters",
      );
    });
    expect(await kept(owner)).toEqual([]);
  });
});

/** A stub of the same object: the old one is broken once its object has crashed. */
function newStub(owner: Owner): Owner {
  return env.UPSTREAM_QUOTA.get(owner.id);
}
