import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { newBorrower, type Borrower } from "../../objects/rate-limiter/leases/borrower.ts";
import { answer, arrive } from "../../objects/rate-limiter/leases/lease.ts";
import type { LeaseItem, LeaseMessage } from "../../objects/rate-limiter/leases/lease-messages.ts";

const perHour = { policy: "hour", tokensPerWindow: 100, windowMs: 3_600_000, burst: 100, shadow: false };
const NOW = 1_790_000_000_000;

let clients = 0;

/** The owner of one client, and two shards of it. */
function newFamily() {
  clients += 1;
  const root = `sharded client ${clients}`;
  const named = (name: string) => env.RATE_LIMITER.getByName(name);
  return { root, owner: named(root), shards: [named(`${root}, shard 0`), named(`${root}, shard 1`)] as const };
}

type Family = ReturnType<typeof newFamily>;

function ask(isolate: string, seq: number, message: Partial<LeaseMessage>, item: Partial<LeaseItem>): LeaseMessage {
  const items = [{ ...perHour, cost: 0, held: 0, spent: [], rate: 0, denied: 0, ...item }];
  const rest = { configVersion: 1, client: "c", leaseId: null, keep: false, want: 256, spanMs: 0, binMs: 1 };
  return { v: 1, isolate, seq, ...rest, ...message, items };
}

/** Tokens that the owner has, and that it counts as lent. */
async function counters({ owner }: Family): Promise<unknown> {
  const policy = (await owner.inspect("c"))?.policies[0];
  return { remaining: policy?.remaining, outstanding: policy?.outstanding };
}

/** Moves the clock that objects read. Their timers stand still too: an object with one that is due is not evicted before. */
function atTime(now: number): void {
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now });
}

afterEach(() => {
  vi.useRealTimers();
});

describe("a shard", () => {
  it("borrows of the owner what it lends on and decides about, and stores nothing", async () => {
    atTime(NOW);
    const family = newFamily();
    const [shard] = family.shards;
    const shardOf = { root: family.root, count: 2 };
    const reply = await shard.lease(ask("a", 1, { shardOf }, { cost: 1, rate: 8 }));
    expect(reply).toMatchObject({ allowed: true, ttlMs: 2_500, isolates: 2, items: [{ allowed: true, granted: 12 }] });
    // What its isolates need for 1.75 s, and the request.
    expect(await counters(family)).toEqual({ remaining: 85, outstanding: 15 });
    const tables = await runInDurableObject(shard, (_object, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
    );
    expect(tables).toEqual([]);
  });

  it("loses its tokens with its memory and never invents any", async () => {
    atTime(NOW);
    const family = newFamily();
    const [shard] = family.shards;
    const shardOf = { root: family.root, count: 2 };
    const lent = await shard.lease(ask("a", 1, { shardOf }, { cost: 1, rate: 8 }));
    await evictDurableObject(shard);
    const back = await shard.lease(ask("a", 2, { shardOf, leaseId: lent.leaseId, want: 0 }, { held: 12 }));
    expect(back).toMatchObject({ leaseId: null, items: [{ kept: 0, granted: 0, remaining: 0 }] });
    expect(await counters(family)).toEqual({ remaining: 85, outstanding: 15 });
    atTime(NOW + 5_100);
    expect(await counters(family)).toEqual({ remaining: 85, outstanding: 0 });
  });

  it("goes on with what it has when the owner starts anew", async () => {
    atTime(NOW);
    const family = newFamily();
    const [shard] = family.shards;
    const shardOf = { root: family.root, count: 2 };
    await shard.lease(ask("a", 1, { shardOf }, { cost: 1, rate: 8 }));
    await evictDurableObject(family.owner);
    const reply = await shard.lease(ask("b", 1, { shardOf }, { cost: 2 }));
    expect(reply).toMatchObject({ allowed: true, items: [{ allowed: true }] });
    expect(await counters(family)).toEqual({ remaining: 85, outstanding: 15 });
  });

  it("asks the owner once for requests that come together", async () => {
    atTime(NOW);
    const family = newFamily();
    const [shard] = family.shards;
    const shardOf = { root: family.root, count: 2 };
    const item = { ...perHour, tokensPerWindow: 1_000, windowMs: 1_000, burst: 1_000, cost: 1, rate: 8 };
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, index) => shard.lease(ask(`isolate ${index}`, 1, { shardOf }, item))),
    );
    expect(replies.map(({ allowed }) => allowed)).toEqual(Array.from({ length: 20 }, () => true));
    expect((await family.owner.inspect("c"))?.lastDecisions.length).toBeLessThanOrEqual(3);
  });

  it("rejects a request that needs the owner when that fails", async () => {
    atTime(NOW);
    const family = newFamily();
    const [shard] = family.shards;
    await family.owner.lease(ask("a", 1, {}, { cost: 1 }));
    await runInDurableObject(family.owner, (_object, { storage }) => {
      storage.sql.exec("CREATE TRIGGER full BEFORE UPDATE ON clients BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    });
    const message = ask("a", 2, { shardOf: { root: family.root, count: 2 } }, { cost: 1 });
    await runInDurableObject(shard, (object) =>
      expect(object.lease(message)).rejects.toThrow("the root of this shard has just failed"),
    );
  });
});

it("lets no more than the burst through 24 isolates at an owner and two shards, with evictions between", async () => {
  atTime(NOW);
  const family = newFamily();
  const isolates = Array.from({ length: 24 }, (_, index) =>
    newBorrower("c", 1, [perHour], { isolate: `isolate ${index}`, seq: 0 }),
  );
  const places = [family.owner, ...family.shards];
  const shardOf = { root: family.root, count: 2 };
  let admitted = 0;
  async function request(borrower: Borrower, place: number): Promise<void> {
    const arrival = arrive(borrower, [1], Date.now());
    if (arrival.kind === "admitted") admitted += 1;
    const message = arrival.kind === "admitted" ? arrival.renewal : arrival.kind === "ask" && arrival.message;
    if (message === undefined || message === false) return;
    const reply = await places[place]?.lease(place === 0 ? message : { ...message, shardOf });
    if (reply === undefined) return;
    if (arrival.kind === "ask" && reply.allowed) admitted += 1;
    answer(borrower, message.seq, reply, Date.now());
  }
  for (let round = 0; round < 30; round++) {
    atTime(NOW + round * 10);
    await Promise.all(isolates.map((borrower, index) => request(borrower, index % 3)));
    if (round % 10 !== 5) continue;
    for (const place of places) {
      // Only what runs can be evicted, and isolates that know better may not have called for a while.
      await place.ping();
      await evictDurableObject(place);
    }
  }
  const report = (await family.owner.inspect("c"))?.policies[0];
  const held = isolates.reduce((sum, { holdings }) => sum + (holdings[0]?.tokens ?? 0), 0);
  expect(admitted + held + (report?.remaining ?? 0)).toBeLessThanOrEqual(100);
  expect(held).toBeLessThanOrEqual(report?.outstanding ?? 0);
  expect(admitted).toBeGreaterThan(30);
});
