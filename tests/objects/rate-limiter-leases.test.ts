import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { newBorrower, type Borrower } from "../../objects/rate-limiter/leases/borrower.ts";
import { answer, arrive } from "../../objects/rate-limiter/leases/lease.ts";
import type { LeaseItem, LeaseMessage } from "../../objects/rate-limiter/leases/lease-messages.ts";

const perHour = { policy: "hour", tokensPerWindow: 100, windowMs: 3_600_000, burst: 100, shadow: false };
const NOW = 1_790_000_000_000;

let objects = 0;

function newObject() {
  objects += 1;
  return env.RATE_LIMITER.getByName(`leasing object ${objects}`);
}

type Limiter = ReturnType<typeof newObject>;

function ask(isolate: string, seq: number, message: Partial<LeaseMessage>, item: Partial<LeaseItem>): LeaseMessage {
  const items = [{ ...perHour, cost: 0, held: 0, spent: [], rate: 0, denied: 0, ...item }];
  const rest = { configVersion: 1, client: "c", leaseId: null, keep: false, want: 256, spanMs: 0, binMs: 1 };
  return { v: 1, isolate, seq, ...rest, ...message, items };
}

/** Tokens that the owner has, and that are on lease. */
async function counters(limiter: Limiter): Promise<unknown> {
  const policy = (await limiter.inspect("c"))?.policies[0];
  return { remaining: policy?.remaining, outstanding: policy?.outstanding };
}

function rowChanges(limiter: Limiter): Promise<number> {
  return runInDurableObject(limiter, (_object, { storage }) =>
    Number(storage.sql.exec("SELECT total_changes() AS changes").one()["changes"]),
  );
}

/** Moves the clock that objects read; the runtime's own timers go on. */
function atTime(now: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now });
}

afterEach(() => {
  vi.useRealTimers();
});

describe("a lease", () => {
  it("is one row written before the reply, and is there after an eviction", async () => {
    atTime(NOW);
    const limiter = newObject();
    await limiter.lease(ask("a", 1, {}, { cost: 1 }));
    const before = await rowChanges(limiter);
    const reply = await limiter.lease(ask("a", 2, { want: 40 }, { rate: 30, cost: 1 }));
    expect(reply).toMatchObject({ allowed: true, items: [{ granted: 40, remaining: 58 }] });
    expect(await rowChanges(limiter)).toBe(before + 1);
    await evictDurableObject(limiter);
    expect(await counters(limiter)).toEqual({ remaining: 58, outstanding: 40 });
    atTime(NOW + 5_100);
    expect(await counters(limiter)).toEqual({ remaining: 58, outstanding: 0 });
  });

  it("is the same for a message that comes twice, and comes back once however often it is returned", async () => {
    atTime(NOW);
    const limiter = newObject();
    const message = ask("a", 1, { want: 40 }, { rate: 30, cost: 1 });
    const reply = await limiter.lease(message);
    expect(await limiter.lease(message)).toEqual(reply);
    const back = ask("a", 2, { leaseId: reply.leaseId, want: 0 }, { held: 40 });
    await limiter.lease(back);
    expect(await counters(limiter)).toEqual({ remaining: 99, outstanding: 0 });
    await limiter.lease(ask("b", 1, {}, { cost: 59 }));
    await limiter.lease(back);
    await evictDurableObject(limiter);
    await limiter.lease(back);
    expect(await counters(limiter)).toEqual({ remaining: 40, outstanding: 0 });
  });

  it("costs no write when nothing comes of it", async () => {
    atTime(NOW);
    const limiter = newObject();
    await limiter.lease(ask("a", 1, {}, { cost: 100 }));
    const before = await rowChanges(limiter);
    const reply = await limiter.lease(ask("a", 2, {}, { cost: 1, rate: 50 }));
    expect(reply).toMatchObject({ allowed: false, leaseId: null, items: [{ remaining: 0, retryAfterMs: 36_000 }] });
    expect(await rowChanges(limiter)).toBe(before);
  });

  it("that could not be written is not remembered either", async () => {
    atTime(NOW);
    const limiter = newObject();
    await limiter.lease(ask("a", 1, {}, { cost: 1 }));
    await runInDurableObject(limiter, async (object, { storage }) => {
      const message = ask("a", 2, { want: 40 }, { rate: 30 });
      storage.sql.exec("CREATE TRIGGER full BEFORE UPDATE ON clients BEGIN SELECT RAISE(ABORT, 'disk full'); END");
      await expect(object.lease(message)).rejects.toThrow("disk full");
      storage.sql.exec("DROP TRIGGER full");
      expect(object.inspect("c")?.policies[0]).toMatchObject({ remaining: 99, outstanding: 0 });
      expect((await object.lease(message)).items[0]).toMatchObject({ granted: 40, remaining: 59 });
    });
  });

  it("counts for strict takes of the same client", async () => {
    atTime(NOW);
    const limiter = newObject();
    await limiter.lease(ask("a", 1, { want: 40 }, { rate: 30 }));
    const take = (cost: number) => limiter.take({ v: 1, configVersion: 1, client: "c", items: [{ ...perHour, cost }] });
    expect(await take(61)).toMatchObject({ allowed: false, items: [{ remaining: 60 }] });
    expect(await take(60)).toMatchObject({ allowed: true, items: [{ remaining: 0 }] });
  });

  it("outlives no sweep, and no row outlives it for long", async () => {
    atTime(NOW);
    const limiter = newObject();
    const second = { tokensPerWindow: 100, windowMs: 1_000 };
    await limiter.lease(ask("a", 1, { want: 40 }, { ...second, rate: 30 }));
    atTime(NOW + 60_000);
    await runDurableObjectAlarm(limiter);
    expect(await limiter.inspect("c")).not.toBeNull();
    atTime(NOW + 5_100 + 1_000 + 60_000);
    await runDurableObjectAlarm(limiter);
    expect(await limiter.inspect("c")).toBeNull();
  });
});

it("lets no more than the burst through 20 isolates that spend what they are lent, with evictions between", async () => {
  atTime(NOW);
  const limiter = newObject();
  const isolates = Array.from({ length: 20 }, (_, index) =>
    newBorrower("c", 1, [perHour], { isolate: `isolate ${index}`, seq: 0 }),
  );
  let admitted = 0;
  let calls = 0;
  async function request(borrower: Borrower): Promise<void> {
    const arrival = arrive(borrower, [1], Date.now());
    if (arrival.kind === "admitted") admitted += 1;
    const message = arrival.kind === "admitted" ? arrival.renewal : arrival.kind === "ask" && arrival.message;
    if (message === undefined || message === false) return;
    calls += 1;
    const reply = await limiter.lease(message);
    if (arrival.kind === "ask" && reply.allowed) admitted += 1;
    answer(borrower, message.seq, reply, Date.now());
  }
  for (let round = 0; round < 30; round++) {
    atTime(NOW + round * 10);
    await Promise.all(isolates.map((borrower) => request(borrower)));
    if (round % 10 !== 5) continue;
    // Only what runs can be evicted, and isolates that know better may not have called for a while.
    await limiter.inspect("c");
    await evictDurableObject(limiter);
  }
  const report = (await limiter.inspect("c"))?.policies[0];
  const held = isolates.reduce((sum, { holdings }) => sum + (holdings[0]?.tokens ?? 0), 0);
  expect(admitted + held + (report?.remaining ?? 0)).toBeLessThanOrEqual(100);
  expect(held).toBeLessThanOrEqual(report?.outstanding ?? 0);
  expect(admitted).toBeGreaterThan(60);
  expect(calls).toBeLessThan(600);
});

it("refuses a malformed message with what was got and what was wanted", async () => {
  await runInDurableObject(newObject(), async (object) => {
    await expect(object.lease(ask("a", 1, {}, { held: -1 }))).rejects.toThrow(
      "cannot lease: items[0].held: got -1, wanted an integer >= 0",
    );
  });
});
