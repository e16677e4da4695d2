import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { LeaseItem, LeaseMessage } from "../../objects/rate-limiter/leases/lease-messages.ts";
import type { LimitItem } from "../../objects/rate-limiter/limit-item.ts";
import type { TakeItem, TakeMessage } from "../../objects/rate-limiter/messages.ts";

/** A day in Berlin begins at 22:00 UTC in summer. */
const NOW = Date.UTC(2026, 6, 1, 12);
const DAY_MS = 86_400_000;

const numbers = { policy: "p", tokensPerWindow: 100, windowMs: 600_000, burst: 100 };
const perDay: LimitItem = {
  ...numbers,
  algorithm: "fixed-window",
  calendar: { unit: "day", timeZone: "Europe/Berlin" },
};
const ALGORITHMS: readonly (readonly [string, LimitItem, number])[] = [
  ["token bucket", numbers, 600_000],
  ["sliding window", { ...numbers, algorithm: "sliding-window" }, 610_000],
  ["approximate window", { ...numbers, algorithm: "approximate-sliding-window" }, 1_200_000],
  ["fixed window", { ...numbers, algorithm: "fixed-window" }, 600_000],
  ["calendar", perDay, 10 * 3_600_000],
];
const LENT = ALGORITHMS.filter(([, { algorithm }]) => algorithm !== "approximate-sliding-window");

let objects = 0;

function newObject() {
  objects += 1;
  return env.RATE_LIMITER.getByName(`counting object ${objects}`);
}

type Limiter = ReturnType<typeof newObject>;

function message(limit: LimitItem, item: Partial<TakeItem> = {}): TakeMessage {
  return { v: 1, configVersion: 1, client: "c", items: [{ ...limit, cost: 1, shadow: false, ...item }] };
}

function lease(limit: LimitItem, isolate: string, changes: Partial<LeaseMessage>, item: Partial<LeaseItem> = {}) {
  const items = [{ ...limit, cost: 0, shadow: false, held: 0, spent: [], rate: 0, denied: 0, ...item }];
  const rest = { configVersion: 1, client: "c", leaseId: null, keep: false, want: 256, spanMs: 0, binMs: 1, seq: 1 };
  return { v: 1, isolate, ...rest, ...changes, items } as const;
}

async function left(limiter: Limiter): Promise<number | undefined> {
  return (await limiter.inspect("c"))?.policies[0]?.remaining;
}

/** Moves the clock that objects read; the runtime's own timers go on. */
function atTime(now: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now });
}

afterEach(() => {
  vi.useRealTimers();
});

describe.each(ALGORITHMS)("under a %s", (_name, limit, whole) => {
  it("exactly 100 of 300 takes at once pass, with evictions between", async () => {
    atTime(NOW);
    const limiter = newObject();
    let passed = 0;
    for (let round = 0; round < 5; round++) {
      const replies = await Promise.all(Array.from({ length: 60 }, () => limiter.take(message(limit))));
      passed += replies.filter(({ allowed }) => allowed).length;
      await evictDurableObject(limiter);
    }
    expect(passed).toBe(100);
    atTime(NOW + whole);
    expect((await limiter.take(message(limit, { cost: 100 }))).allowed).toBe(true);
  });

  it("a row goes a minute after it is whole, and all storage with it", async () => {
    atTime(NOW);
    const limiter = newObject();
    await limiter.take(message(limit, { cost: 100 }));
    const last = (await limiter.inspect("c"))?.policies[0]?.fullInMs ?? 0;
    expect(last).toBeLessThanOrEqual(whole);
    atTime(NOW + last + 59_999);
    await runDurableObjectAlarm(limiter);
    expect(await left(limiter)).toBe(100);
    atTime(NOW + last + 60_000);
    await runDurableObjectAlarm(limiter);
    expect(await limiter.inspect("c")).toBeNull();
    const tables = await runInDurableObject(limiter, (_object, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'clients'").toArray(),
    );
    expect(tables).toEqual([]);
  });

  it("a cost is reserved, and settled once after an eviction", async () => {
    atTime(NOW);
    const limiter = newObject();
    const { reservation } = await limiter.take(message(limit, { cost: 30, reserveMs: 60_000 }));
    await evictDurableObject(limiter);
    expect(await left(limiter)).toBe(70);
    const settle = { v: 1, client: "c", reservation: reservation ?? -1, items: [{ policy: "p", actual: 45 }] } as const;
    const replies = await Promise.all([limiter.settle(settle), limiter.settle(settle)]);
    expect(replies).toEqual([
      { v: 1, settled: true, items: [{ policy: "p", charged: 45, forgiven: 0, remaining: 55 }] },
      { v: 1, settled: false, items: [] },
    ]);
    await evictDurableObject(limiter);
    expect(await left(limiter)).toBe(55);
  });

  it("a debt is remembered after an eviction", async () => {
    atTime(NOW);
    const limiter = newObject();
    const { reservation } = await limiter.take(message(limit, { cost: 100, reserveMs: 60_000 }));
    const items = [{ policy: "p", actual: 500, debtMax: 20 }];
    const told = await limiter.settle({ v: 1, client: "c", reservation: reservation ?? -1, items });
    expect(told.items).toEqual([{ policy: "p", charged: 120, forgiven: 380, remaining: 0 }]);
    await evictDurableObject(limiter);
    expect((await limiter.take(message(limit, { cost: 0, reserveMs: 1 }))).allowed).toBe(false);
  });
});

describe.each(LENT)("a lease under a %s", (_name, limit) => {
  it("outlives an eviction, and comes back where it was counted", async () => {
    atTime(NOW);
    const limiter = newObject();
    const reply = await limiter.lease(lease(limit, "a", { want: 40 }, { rate: 30, cost: 1 }));
    expect(reply).toMatchObject({ allowed: true, items: [{ granted: 40, remaining: 59 }] });
    await evictDurableObject(limiter);
    expect((await limiter.inspect("c"))?.policies[0]).toMatchObject({
      remaining: 59,
      leases: { count: 1, tokens: 40 },
    });
    atTime(NOW + 1_000);
    await limiter.lease(lease(limit, "a", { seq: 2, leaseId: reply.leaseId, want: 0 }, { held: 40 }));
    await evictDurableObject(limiter);
    expect(await left(limiter)).toBe(99);
  });

  it("is held for a request that other owners decide about", async () => {
    atTime(NOW);
    const limiter = newObject();
    const replies = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        limiter.lease(lease(limit, `isolate ${index}`, { hold: true, want: 0 }, { cost: 7 })),
      ),
    );
    expect(replies.filter(({ allowed }) => allowed)).toHaveLength(14);
    await evictDurableObject(limiter);
    expect((await limiter.inspect("c"))?.policies[0]).toMatchObject({
      remaining: 2,
      leases: { count: 14, tokens: 98 },
    });
  });
});

it("keeps a quota of a day over its midnight in Berlin, and no longer", async () => {
  const midnight = Date.UTC(2026, 6, 1, 22);
  atTime(midnight - 1);
  const limiter = newObject();
  expect((await limiter.take(message(perDay, { cost: 100 }))).items[0]).toMatchObject({ resetMs: 1 });
  expect((await limiter.take(message(perDay))).items[0]).toMatchObject({ allowed: false, retryAfterMs: 1 });
  await evictDurableObject(limiter);
  atTime(midnight);
  expect((await limiter.take(message(perDay))).items[0]).toMatchObject({ remaining: 99, resetMs: DAY_MS });
});

it("starts every algorithm used up in a row that cannot be read", async () => {
  atTime(NOW);
  const log = vi.spyOn(console, "error").mockReturnValue();
  const limiter = newObject();
  await limiter.take(message(numbers));
  await runInDurableObject(limiter, (_object, { storage }) => {
    storage.sql.exec("UPDATE clients SET state = 'nonsense'");
  });
  await evictDurableObject(limiter);
  const items = ALGORITHMS.flatMap(([policy, limit]) => message(limit, { policy }).items);
  const reply = await limiter.take({ v: 1, configVersion: 1, client: "c", items });
  expect(reply.items.map(({ remaining }) => remaining)).toEqual([0, 0, 0, 0, 0]);
  expect(log).toHaveBeenCalledOnce();
  log.mockRestore();
});

it("reads rows of before there were other algorithms than the bucket", async () => {
  atTime(NOW);
  const limiter = newObject();
  await limiter.take(message(numbers));
  await runInDurableObject(limiter, (_object, { storage }) => {
    const row = `{"p":[["p",1,100,600000,100,40,0,${NOW},10]],"l":[${NOW},[${NOW},"p",10,${NOW + 5_100}]]}`;
    storage.sql.exec("UPDATE clients SET state = ?", row);
  });
  await evictDurableObject(limiter);
  expect((await limiter.inspect("c"))?.policies[0]).toMatchObject({ remaining: 40, outstanding: 10 });
});

it("refuses a malformed settlement with what was got and what was wanted", async () => {
  await runInDurableObject(newObject(), async (object) => {
    await expect(object.settle({ v: 1, client: "c", reservation: -1, items: [] })).rejects.toThrow(
      "cannot settle: reservation: got -1, wanted an integer >= 0",
    );
  });
});
