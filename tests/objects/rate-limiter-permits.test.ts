import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { PermitItem, PermitMessage } from "../../objects/rate-limiter/permits/permit-messages.ts";
import type { PermitAsk, PermitReply } from "../../objects/rate-limiter/permits/permits.ts";

const NOW = 1_790_000_000_000;
const TERMS = { permits: 4, leaseMs: 5_000, operationTimeoutMs: 15_000 };
const RECLAIM_MS = 20_100;

let objects = 0;

function newObject() {
  objects += 1;
  return env.RATE_LIMITER.getByName(`permitting object ${objects}`);
}

type Limiter = ReturnType<typeof newObject>;

function message(ask: PermitAsk, item: Partial<PermitItem> = {}, configVersion = 1): PermitMessage {
  return { v: 1, configVersion, client: "c", items: [{ policy: "p", ...TERMS, ask, ...item }] };
}

async function ask(
  limiter: Limiter,
  [id, seq, keep, want]: readonly [string, number, number, number],
  item: Partial<PermitItem> = {},
  configVersion = 1,
): Promise<PermitReply | null | undefined> {
  const reply = await limiter.permits(message({ id, seq, keep, want }, item, configVersion));
  return reply.items[0]?.reply;
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

describe("permits", () => {
  it("are one row written before the reply, and are in use after an eviction", async () => {
    atTime(NOW);
    const limiter = newObject();
    await ask(limiter, ["a", 1, 0, 1]);
    const before = await rowChanges(limiter);
    expect(await ask(limiter, ["a", 2, 1, 2])).toEqual({
      seq: 2,
      permits: 3,
      counted: 3,
      free: 1,
      idleMs: 500,
      leaseMs: 5_000,
      retryAfterMs: 0,
    });
    expect(await rowChanges(limiter)).toBe(before + 1);
    await evictDurableObject(limiter);
    expect(await ask(limiter, ["b", 1, 0, 3])).toMatchObject({ permits: 1, free: 0, retryAfterMs: RECLAIM_MS });
    expect((await limiter.inspect("c"))?.permits).toEqual([
      { policy: "p", configVersion: 1, maxConcurrent: 4, inUse: 4, freeInMs: RECLAIM_MS },
    ]);
    await evictDurableObject(limiter);
    atTime(NOW + RECLAIM_MS - 1);
    expect(await ask(limiter, ["c", 1, 0, 3])).toMatchObject({ permits: 0 });
    atTime(NOW + RECLAIM_MS);
    expect(await ask(limiter, ["c", 2, 0, 4])).toMatchObject({ permits: 4 });
  });

  it("come with how many isolates have any", async () => {
    const limiter = newObject();
    const isolatesTold = async (id: string, seq: number, keep: number, want: number) =>
      (await limiter.permits(message({ id, seq, keep, want }))).isolates;
    expect(await isolatesTold("a", 1, 0, 1)).toBe(1);
    expect(await isolatesTold("b", 1, 0, 1)).toBe(2);
    expect(await isolatesTold("a", 2, 0, 0)).toBe(1);
    expect(await isolatesTold("b", 2, 0, 0)).toBeUndefined();
  });

  it("cost no write when none can be had, or a question comes twice", async () => {
    atTime(NOW);
    const limiter = newObject();
    await ask(limiter, ["a", 1, 0, 4]);
    const before = await rowChanges(limiter);
    expect(await ask(limiter, ["b", 1, 0, 1])).toMatchObject({ permits: 0, retryAfterMs: RECLAIM_MS });
    expect(await ask(limiter, ["a", 1, 0, 4])).toBeNull();
    expect(await rowChanges(limiter)).toBe(before);
  });

  it("that could not be written are not granted", async () => {
    atTime(NOW);
    const limiter = newObject();
    await ask(limiter, ["a", 1, 0, 1]);
    await runInDurableObject(limiter, async (object, { storage }) => {
      storage.sql.exec("CREATE TRIGGER full BEFORE UPDATE ON permits BEGIN SELECT RAISE(ABORT, 'disk full'); END");
      await expect(object.permits(message({ id: "b", seq: 1, keep: 0, want: 3 }))).rejects.toThrow("disk full");
      storage.sql.exec("DROP TRIGGER full");
    });
    expect(await ask(limiter, ["c", 1, 0, 3])).toMatchObject({ permits: 3, free: 0 });
  });

  it("asked for at once are granted no more often than there are", async () => {
    const limiter = newObject();
    const ids = Array.from({ length: 12 }, (_, index) => `isolate ${index}`);
    const replies = await Promise.all(ids.map((id) => ask(limiter, [id, 1, 0, 1])));
    expect(replies.filter((reply) => reply?.permits === 1)).toHaveLength(4);
  });

  it("keep the number that the highest configuration version gave", async () => {
    atTime(NOW);
    const limiter = newObject();
    await ask(limiter, ["a", 1, 0, 2], { permits: 2 }, 7);
    expect(await ask(limiter, ["b", 1, 0, 9], { permits: 9 }, 6)).toMatchObject({ permits: 0 });
    await evictDurableObject(limiter);
    expect(await ask(limiter, ["b", 2, 0, 9], { permits: 9 }, 6)).toMatchObject({ permits: 0 });
    expect(await ask(limiter, ["b", 3, 0, 9], { permits: 9 }, 8)).toMatchObject({ permits: 7 });
  });

  it("of a record that cannot be read are all in use until whatever was started under it has ended", async () => {
    atTime(NOW);
    const limiter = newObject();
    await ask(limiter, ["a", 1, 0, 1]);
    await runInDurableObject(limiter, (_object, { storage }) => {
      storage.sql.exec("UPDATE permits SET state = '{'");
    });
    await evictDurableObject(limiter);
    const complained = vi.spyOn(console, "error").mockImplementation(() => {});
    expect(await ask(limiter, ["b", 1, 0, 1])).toMatchObject({ permits: 0, retryAfterMs: RECLAIM_MS });
    complained.mockRestore();
    await evictDurableObject(limiter);
    atTime(NOW + RECLAIM_MS);
    expect(await ask(limiter, ["b", 2, 0, 4])).toMatchObject({ permits: 4 });
  });

  it("leave no storage behind once all has ended", async () => {
    atTime(NOW);
    const limiter = newObject();
    await ask(limiter, ["a", 1, 0, 1]);
    await runDurableObjectAlarm(limiter);
    expect((await limiter.inspect("c"))?.permits).toHaveLength(1);
    atTime(NOW + RECLAIM_MS + 60_000);
    await runDurableObjectAlarm(limiter);
    const tables = await runInDurableObject(limiter, (_object, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'permits'").toArray(),
    );
    expect(tables).toEqual([]);
    expect(await ask(limiter, ["b", 1, 0, 4])).toMatchObject({ permits: 4 });
  });

  it("are freed by a reset", async () => {
    const limiter = newObject();
    await ask(limiter, ["a", 1, 0, 4]);
    expect(await limiter.reset("c")).toEqual({ v: 1, existed: true });
    expect(await ask(limiter, ["b", 1, 0, 4])).toMatchObject({ permits: 4 });
  });
});

describe("a permit message", () => {
  const good = { id: "a", seq: 1, keep: 0, want: 1 };

  it.each<[string, PermitMessage, string]>([
    ["of no permits", message(good, { permits: 0 }), "items[0].permits: got 0, wanted an integer >= 1"],
    [
      "with a lease of an hour",
      message(good, { leaseMs: 3_600_000 }),
      "items[0].leaseMs: got 3600000, wanted an integer from 1 to 60000",
    ],
    [
      "with operations of an hour",
      message(good, { operationTimeoutMs: 3_600_000 }),
      "items[0].operationTimeoutMs: got 3600000, wanted an integer from 1 to 600000",
    ],
    ["that keeps half a permit", message({ ...good, keep: 0.5 }), "items[0].ask.keep: got 0.5, wanted an integer >= 0"],
    ["without a borrower", message({ ...good, id: "" }), "items[0].ask.id: got , wanted 1 to 64 characters"],
  ])("%s is refused with the field and the cure", async (_name, malformed, problem) => {
    await runInDurableObject(newObject(), async (object) => {
      await expect(object.permits(malformed)).rejects.toThrow(new TypeError(`cannot grant permits: ${problem}`));
    });
  });
});
