import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { RefundMessage, TakeItem, TakeMessage } from "../../objects/rate-limiter/messages.ts";

const perHour = { policy: "hour", tokensPerWindow: 100, windowMs: 3_600_000, burst: 100, cost: 1, shadow: false };
const perMinute = { policy: "minute", tokensPerWindow: 60, windowMs: 60_000, burst: 10, cost: 1, shadow: false };
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

let objects = 0;

function newObject() {
  objects += 1;
  return env.RATE_LIMITER.getByName(`object ${objects}`);
}

function message(client: string, items: readonly TakeItem[], configVersion = 1): TakeMessage {
  return { v: 1, configVersion, client, items };
}

function refund(client: string, seq: number, cost: number, takenAt = 0): RefundMessage {
  return { v: 1, client, isolate: "isolate", seq, takenAt, items: [{ policy: "hour", cost }] };
}

type Limiter = ReturnType<typeof newObject>;

/** Rows as they are stored, and how many rows statements have changed since the object started. */
function stored(limiter: Limiter): Promise<{ rows: Record<string, unknown>; changes: unknown }> {
  return runInDurableObject(limiter, (_object, { storage }) => ({
    rows: Object.fromEntries(
      storage.sql
        .exec<{ client: string; state: string }>("SELECT * FROM clients")
        .toArray()
        .map((row) => [row.client, row.state]),
    ),
    changes: storage.sql.exec("SELECT total_changes() AS changes").one()["changes"],
  }));
}

/** Names of what an object keeps: its tables, and "alarm". */
function kept(limiter: Limiter): Promise<unknown[]> {
  return runInDurableObject(limiter, async (_object, { storage }) => {
    const names = storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray();
    const alarm = await storage.getAlarm();
    return [...names.map(({ name }) => name), ...(alarm === null ? [] : ["alarm"])];
  });
}

/** Moves the clock that objects read; the runtime's own timers go on. */
function atTime(now: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now });
}

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("a limit of 100 an hour", () => {
  it("admits exactly 100 of 400 takes at once", async () => {
    atTime(Date.now());
    const limiter = newObject();
    const replies = await Promise.all(Array.from({ length: 400 }, () => limiter.take(message("c", [perHour]))));
    const remaining = replies.filter(({ allowed }) => allowed).map(({ items }) => items[0]?.remaining);
    expect(remaining).toEqual(Array.from({ length: 100 }, (_, index) => 99 - index));
    expect(replies.find(({ allowed }) => !allowed)).toEqual({
      v: 1,
      allowed: false,
      items: [{ policy: "hour", allowed: false, remaining: 0, retryAfterMs: 36_000 }],
    });
  });

  it("is remembered by an object that was evicted", async () => {
    atTime(Date.now());
    const limiter = newObject();
    await limiter.take(message("c", [{ ...perHour, cost: 98 }]));
    await evictDurableObject(limiter);
    expect((await limiter.take(message("c", [perHour]))).items[0]?.remaining).toBe(1);
    await evictDurableObject(limiter);
    expect((await limiter.take(message("c", [perHour]))).items[0]?.remaining).toBe(0);
    await evictDurableObject(limiter);
    expect((await limiter.take(message("c", [perHour]))).allowed).toBe(false);
  });

  it("is decided again for a client that fell out of memory", async () => {
    atTime(Date.now());
    const limiter = newObject();
    const clients = Array.from({ length: 300 }, (_, index) => `client ${index}`);
    for (const cost of [40, 40]) {
      await Promise.all(clients.map((client) => limiter.take(message(client, [{ ...perHour, cost }]))));
    }
    const third = await Promise.all(clients.map((client) => limiter.take(message(client, [{ ...perHour, cost: 40 }]))));
    expect(third.map(({ items }) => items[0]?.remaining)).toEqual(clients.map(() => 20));
  });
});

describe("writes", () => {
  it("one row for a take under several limits, and it is there before the reply", async () => {
    const limiter = newObject();
    await limiter.take(message("c", [perHour, perMinute]));
    const before = await stored(limiter);
    await limiter.take(message("c", [perHour, perMinute]));
    const after = await stored(limiter);
    expect(Object.keys(after.rows)).toEqual(["c"]);
    expect(after.rows).not.toEqual(before.rows);
    expect(after.changes).toBe(Number(before.changes) + 1);
  });

  it("that fail leave memory where storage is, and admit nothing", async () => {
    atTime(Date.now());
    const limiter = newObject();
    await limiter.take(message("c", [perHour]));
    await runInDurableObject(limiter, async (object, { storage }) => {
      storage.sql.exec("CREATE TRIGGER full BEFORE UPDATE ON clients BEGIN SELECT RAISE(ABORT, 'disk full'); END");
      await expect(object.take(message("c", [{ ...perHour, cost: 50 }]))).rejects.toThrow("disk full");
      storage.sql.exec("DROP TRIGGER full");
      expect((await object.take(message("c", [perHour]))).items[0]?.remaining).toBe(98);
    });
  });

  it("that fail spare the takes that commit together with them", async () => {
    const limiter = newObject();
    await limiter.take(message("full", [perHour]));
    await runInDurableObject(limiter, async (object, { storage }) => {
      storage.sql.exec(
        "CREATE TRIGGER full BEFORE UPDATE ON clients WHEN new.client = 'full' BEGIN SELECT RAISE(ABORT, 'disk full'); END",
      );
      const clients = ["a", "full", "b", "a"];
      const ends = await Promise.allSettled(clients.map((client) => object.take(message(client, [perHour]))));
      expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
      storage.sql.exec("DROP TRIGGER full");
    });
    await evictDurableObject(limiter);
    const left = await Promise.all(["a", "full", "b"].map((client) => limiter.inspect(client)));
    expect(left.map((report) => report?.policies[0]?.remaining)).toEqual([98, 99, 99]);
  });

  it("nothing for refusals, looks and questions", async () => {
    const limiter = newObject();
    await limiter.take(message("c", [{ ...perHour, cost: 100 }]));
    const before = await stored(limiter);
    for (const items of [[perHour], [{ ...perHour, cost: 0 }], [{ ...perHour, cost: 101 }], [perMinute, perHour]]) {
      await limiter.take(message("c", items));
    }
    await limiter.take(message("stranger", [{ ...perHour, cost: 101 }]));
    await limiter.inspect("c");
    await limiter.inspect("stranger");
    await limiter.refund(refund("stranger", 1, 1));
    expect(await stored(limiter)).toEqual(before);
  });

  it("nothing at all in an object that was only asked: no table, no alarm", async () => {
    const limiter = newObject();
    expect(await limiter.inspect("c")).toBeNull();
    expect(await limiter.ping()).toEqual({ v: 1 });
    expect(await limiter.reset("c")).toEqual({ v: 1, existed: false });
    expect((await limiter.take(message("c", [{ ...perHour, cost: 101 }]))).allowed).toBe(false);
    expect(await limiter.refund(refund("c", 1, 1))).toEqual({ v: 1, refunded: false });
    expect(await kept(limiter)).toEqual([]);
  });
});

describe("two limits of one client", () => {
  it("are both spared by a request that one of them refuses", async () => {
    atTime(Date.now());
    const limiter = newObject();
    await limiter.take(message("c", [perHour, { ...perMinute, cost: 10 }]));
    const refused = await limiter.take(message("c", [perHour, perMinute]));
    expect(refused).toEqual({
      v: 1,
      allowed: false,
      items: [
        { policy: "hour", allowed: true, remaining: 99, retryAfterMs: 0 },
        { policy: "minute", allowed: false, remaining: 0, retryAfterMs: 1_000 },
      ],
    });
    expect((await limiter.take(message("c", [perHour]))).items[0]?.remaining).toBe(98);
  });

  it("keep the limit of the newer configuration when an older Worker asks", async () => {
    atTime(Date.now());
    const limiter = newObject();
    await limiter.take(message("c", [{ ...perHour, burst: 5 }], 8));
    await evictDurableObject(limiter);
    expect(await limiter.take(message("c", [{ ...perHour, cost: 5 }], 7))).toEqual({
      v: 1,
      allowed: false,
      items: [{ policy: "hour", allowed: false, remaining: 4, retryAfterMs: 36_000 }],
    });
    const limits = (await limiter.inspect("c"))?.policies.map(({ burst, configVersion }) => [burst, configVersion]);
    expect(limits).toEqual([[5, 8]]);
  });
});

describe("two clients in one object", () => {
  it("have counters of their own", async () => {
    atTime(Date.now());
    const limiter = newObject();
    await limiter.take(message("a", [{ ...perHour, cost: 100 }]));
    expect((await limiter.take(message("b", [{ ...perHour, cost: 100 }]))).allowed).toBe(true);
    expect((await limiter.take(message("a", [perHour]))).allowed).toBe(false);
    expect(await limiter.reset("a")).toEqual({ v: 1, existed: true });
    expect((await limiter.take(message("a", [perHour]))).items[0]?.remaining).toBe(99);
    expect((await limiter.take(message("b", [perHour]))).allowed).toBe(false);
  });
});

describe("a refund", () => {
  it("counts once, also after an eviction", async () => {
    atTime(Date.now());
    const limiter = newObject();
    const { takenAt } = await limiter.take(message("c", [{ ...perHour, cost: 50 }]));
    expect(await limiter.refund(refund("c", 1, 10, takenAt))).toEqual({ v: 1, refunded: true });
    expect(await limiter.refund(refund("c", 1, 10, takenAt))).toEqual({ v: 1, refunded: false });
    await evictDurableObject(limiter);
    expect(await limiter.refund(refund("c", 1, 10, takenAt))).toEqual({ v: 1, refunded: false });
    expect((await limiter.take(message("c", [perHour]))).items[0]?.remaining).toBe(59);
  });

  it("gives nothing back that has come back as refill", async () => {
    const now = Date.now();
    atTime(now);
    const limiter = newObject();
    const all = message("c", [{ ...perHour, cost: 100 }]);
    const { takenAt } = await limiter.take(all);
    atTime(now + 3_600_000 - 1);
    expect((await limiter.take(all)).allowed).toBe(false);
    atTime(now + 3_600_000);
    expect((await limiter.take(all)).allowed).toBe(true);
    expect(await limiter.refund(refund("c", 1, 100, takenAt))).toEqual({ v: 1, refunded: false });
    expect((await limiter.take(message("c", [perHour]))).allowed).toBe(false);
  });
});

describe("an operator", () => {
  it("sees a client's live counters", async () => {
    const start = Date.now();
    atTime(start);
    const limiter = newObject();
    await limiter.take(message("c", [{ ...perHour, cost: 100 }], 3));
    atTime(start + 36_500);
    await limiter.take(message("c", [{ ...perHour, cost: 2 }], 3));
    expect(await limiter.inspect("c")).toEqual({
      v: 1,
      client: "c",
      lastDecisions: [
        { at: start + 36_500, allowed: false, asked: "take", cost: 2 },
        { at: start, allowed: true, asked: "take", cost: 100 },
      ],
      permits: [],
      ban: null,
      policies: [
        {
          policy: "hour",
          configVersion: 3,
          algorithm: "token-bucket",
          tokensPerWindow: 100,
          windowMs: 3_600_000,
          burst: 100,
          remaining: 1,
          outstanding: 0,
          leases: { count: 0, tokens: 0, nextEndAt: null },
          reservations: { count: 0, tokens: 0, nextEndAt: null },
          fullInMs: HOUR_MS - 36_500,
          lastChangeAt: start,
        },
      ],
    });
    for (let cost = 0; cost < 30; cost++) await limiter.take(message("c", [{ ...perHour, cost }], 3));
    const costs = (await limiter.inspect("c"))?.lastDecisions.map(({ cost }) => cost);
    expect(costs).toEqual(Array.from({ length: 20 }, (_, index) => 29 - index));
    await evictDurableObject(limiter);
    expect((await limiter.inspect("c"))?.lastDecisions).toEqual([]);
  });
});

describe("garbage collection", () => {
  it("drops each client once it is full, and all storage with the last", async () => {
    const start = Date.now();
    atTime(start);
    const limiter = newObject();
    const slow = Array.from({ length: 600 }, (_, index) => `client ${index}`);
    await Promise.all(slow.map((client) => limiter.take(message(client, [{ ...perHour, cost: 2 }]))));
    await limiter.take(message("last in the order of rows", [perMinute]));
    expect(await kept(limiter)).toEqual(["clients", "alarm"]);
    atTime(start + 61_000);
    expect(await runDurableObjectAlarm(limiter)).toBe(true);
    expect(Object.keys((await stored(limiter)).rows).toSorted()).toEqual(slow.toSorted());
    atTime(start + 72_000 + MINUTE_MS);
    expect(await runDurableObjectAlarm(limiter)).toBe(true);
    expect(await kept(limiter)).toEqual([]);
    // The same instance starts again from nothing.
    expect((await limiter.take(message("client 0", [perMinute]))).items[0]?.remaining).toBe(9);
    expect(await kept(limiter)).toEqual(["clients", "alarm"]);
  });

  it("keeps who is not full yet, and comes back", async () => {
    const start = Date.now();
    atTime(start);
    const limiter = newObject();
    await limiter.take(message("quick", [perMinute]));
    await limiter.take(message("slow", [{ ...perHour, cost: 100 }]));
    atTime(start + 2 * MINUTE_MS);
    expect(await runDurableObjectAlarm(limiter)).toBe(true);
    expect(Object.keys((await stored(limiter)).rows)).toEqual(["slow"]);
    expect(await runInDurableObject(limiter, (_object, { storage }) => storage.getAlarm())).toBe(
      start + 61 * MINUTE_MS,
    );
    expect((await limiter.take(message("slow", [{ ...perHour, cost: 4 }]))).allowed).toBe(false);
    atTime(start + 61 * MINUTE_MS);
    expect(await runDurableObjectAlarm(limiter)).toBe(true);
    expect(await kept(limiter)).toEqual([]);
  });

  it.each([
    { title: "a minute later at the earliest", item: perMinute, waitMs: MINUTE_MS + 1_000 },
    { title: "when the bucket is full, and a minute", item: { ...perHour, cost: 10 }, waitMs: 7 * MINUTE_MS },
    { title: "an hour later at the latest", item: { ...perHour, cost: 100 }, waitMs: HOUR_MS },
  ])("is due $title", async ({ item, waitMs }) => {
    const start = Date.now();
    atTime(start);
    const limiter = newObject();
    await limiter.take(message("c", [item]));
    expect(await runInDurableObject(limiter, (_object, { storage }) => storage.getAlarm())).toBe(start + waitMs);
  });

  it("has its alarm set once, also by an instance that did not set it", async () => {
    const start = Date.now();
    atTime(start);
    const limiter = newObject();
    await limiter.take(message("c", [perMinute]));
    await evictDurableObject(limiter);
    atTime(start + 30_000);
    await limiter.take(message("c", [perMinute]));
    expect(await runInDurableObject(limiter, (_object, { storage }) => storage.getAlarm())).toBe(start + 61_000);
  });
});

describe("a row that cannot be read", () => {
  async function damaged() {
    const limiter = newObject();
    await limiter.take(message("c", [perHour]));
    await limiter.take(message("d", [perHour]));
    await runInDurableObject(limiter, (_object, { storage }) => {
      storage.sql.exec("UPDATE clients SET state = 'nonsense' WHERE client = 'c'");
    });
    await evictDurableObject(limiter);
    return limiter;
  }

  it("starts its client with nothing, admits no token twice, and is logged", async () => {
    const start = Date.now();
    atTime(start);
    const log = vi.spyOn(console, "error").mockReturnValue();
    const limiter = await damaged();
    expect((await limiter.take(message("c", [perHour]))).items).toEqual([
      { policy: "hour", allowed: false, remaining: 0, retryAfterMs: 36_000 },
    ]);
    expect(log.mock.calls).toEqual([
      ['{"level":"error","event":"rate-limiter-record-lost","table":"clients","client":"c"}'],
    ]);
    await evictDurableObject(limiter);
    atTime(start + 36_000);
    expect((await limiter.take(message("c", [perHour]))).items[0]).toEqual({
      policy: "hour",
      allowed: true,
      remaining: 0,
      retryAfterMs: 0,
    });
    expect((await limiter.take(message("d", [perHour]))).items[0]?.remaining).toBe(99);
  });

  it("does not stop the sweep, and goes in its time", async () => {
    const start = Date.now();
    atTime(start);
    vi.spyOn(console, "error").mockReturnValue();
    const limiter = await damaged();
    atTime(start + HOUR_MS);
    expect(await runDurableObjectAlarm(limiter)).toBe(true);
    expect((await stored(limiter)).rows).toEqual({ c: `{"p":[],"lost":${start + HOUR_MS}}` });
    atTime(start + HOUR_MS + 31 * 24 * HOUR_MS);
    expect(await runDurableObjectAlarm(limiter)).toBe(true);
    expect(await kept(limiter)).toEqual([]);
  });

  it("is full again when an operator resets it", async () => {
    vi.spyOn(console, "error").mockReturnValue();
    const limiter = await damaged();
    await limiter.inspect("c");
    expect(await limiter.reset("c")).toEqual({ v: 1, existed: true });
    expect((await limiter.take(message("c", [{ ...perHour, cost: 100 }]))).allowed).toBe(true);
  });
});

describe("a malformed message", () => {
  it("is refused with what was got and what was wanted, and changes nothing", async () => {
    const limiter = newObject();
    // Called inside: the test runner takes an error that crosses RPC for an unhandled one.
    await runInDurableObject(limiter, async (object) => {
      await expect(object.take(message("c", [{ ...perHour, cost: -1 }]))).rejects.toThrow(
        new TypeError("cannot take: items[0].cost: got -1, wanted an integer >= 0"),
      );
      await expect(object.refund(refund("", 1, 1))).rejects.toThrow(
        new TypeError("cannot refund: client: got , wanted 1 to 64 characters"),
      );
    });
    expect(await kept(limiter)).toEqual([]);
  });
});
