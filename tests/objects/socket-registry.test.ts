import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { addresses } from "../../objects/address.ts";
import type { OrderMessage, SessionFilter } from "../../objects/socket-registry/registry-messages.ts";
import { REGISTRY_SHARDS, shardOfSession } from "../../objects/socket-registry/registry-shards.ts";
import { noteDrained } from "../../objects/web-socket-relay/drained-routes.ts";
import { createRegistration } from "../../objects/web-socket-relay/registration.ts";
import { countHandshake } from "../../objects/web-socket-relay/told-counts.ts";
import { description, objectId } from "../core/socket-registry/session-entry.ts";

const ANY: SessionFilter = { route: null, principal: null, address: null, state: null, mode: null };
let objects = 0;

function newShard() {
  objects += 1;
  return env.SOCKET_REGISTRY.getByName(`test ${objects}`);
}

type Shard = ReturnType<typeof newShard>;

async function listed(shard: Shard, route: string | null = null): Promise<string[]> {
  const page = await shard.list({ v: 1, filter: { ...ANY, route }, limit: 1_000, after: null });
  return page.sessions.map(({ id }) => id);
}

/** Of all shards, as a relay finds them. */
async function listedAnywhere(route: string): Promise<string[]> {
  const ids: string[] = [];
  for (let index = 0; index < REGISTRY_SHARDS; index += 1) {
    const { name } = await addresses(env.NAMING_SECRET ?? "").socketRegistry(index);
    const found = await listed(env.SOCKET_REGISTRY.getByName(name), route);
    expect(found.every((id) => shardOfSession(id) === index)).toBe(true);
    ids.push(...found);
  }
  return ids.sort();
}

/** A timer of an object that is evicted never fires; what stands for them here does not know. */
async function restart(shard: Shard): Promise<void> {
  await evictDurableObject(shard);
  vi.clearAllTimers();
}

/** Not even a table. */
async function storesNothing(shard: Shard): Promise<void> {
  await runInDurableObject(shard, (_object, { storage }) => {
    expect(storage.sql.exec("SELECT name FROM sqlite_master").toArray()).toEqual([]);
  });
}

/** A drain that lets a route have no new sessions for so long; 0: it has them again. */
function refuseNew(route: string, refuseNewMs: number): OrderMessage {
  const order = { kind: "close", code: 1012, reason: "", spreadMs: 0, refuseNewMs } as const;
  return { v: 1, filter: { ...ANY, route }, order };
}

beforeEach(() => {
  // A real one that is pending would keep an object from its eviction.
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
});

afterEach(() => {
  vi.useRealTimers();
});

describe("a shard of the registry", () => {
  it("stores nothing, and has one timer while anybody is listed", async () => {
    const shard = newShard();
    await shard.report({ v: 1, object: objectId("a"), sessions: [description("a")], closed: [] });
    expect(await listed(shard)).toEqual(["a"]);
    await storesNothing(shard);
  });

  it("knows nobody after a restart, until they are told of again", async () => {
    const shard = newShard();
    const message = { v: 1, object: objectId("a"), sessions: [description("a")], closed: [] } as const;
    await shard.report(message);
    await restart(shard);
    expect([await listed(shard), await shard.find("a")]).toEqual([[], null]);
    await shard.report(message);
    expect(await shard.find("a")).toEqual({ ...description("a"), object: objectId("a") });
  });

  it("forgets a lease that is over, keeps what it counted for a quarter of an hour, and then has no timer", async () => {
    const shard = newShard();
    await runInDurableObject(shard, (object) => {
      object.report({ v: 1, object: objectId("a"), sessions: [description("a")], closed: [] });
      expect(vi.getTimerCount()).toBe(1);
      vi.advanceTimersByTime(60_000);
      expect([object.find("a"), vi.getTimerCount()]).toEqual([null, 1]);
      expect(object.summary().counts.get(description("a").route)?.get("closes.unseen.none")).toBe(1);
      vi.advanceTimersByTime(900_000);
      expect(vi.getTimerCount()).toBe(0);
    });
  });

  it("stores which routes take no new ones, so that a restart forgets none, and nothing once that is over", async () => {
    const shard = newShard();
    const since = Date.now();
    await shard.order(refuseNew("chat", 60_000));
    await shard.order(refuseNew("news", 300_000));
    const [chat, news] = [
      { since, until: since + 60_000 },
      { since, until: since + 300_000 },
    ];
    await restart(shard);
    const report = { v: 1, object: objectId("a"), sessions: [], closed: [] } as const;
    expect(await shard.report(report)).toEqual({ v: 1, drained: new Map(Object.entries({ chat, news })) });
    await runInDurableObject(shard, (object, { storage }) => {
      // Nothing but the orders keeps it in memory.
      vi.advanceTimersByTime(60_000);
      expect(object.summary().drained).toEqual(new Map([["news", news]]));
      expect(storage.kv.get("drained")).toEqual(new Map([["news", news]]));
    });
    await restart(shard);
    vi.setSystemTime(since + 300_000);
    expect(await shard.report(report)).toEqual({ v: 1 });
    await runInDurableObject(shard, async (_object, { storage }) => {
      expect((await storage.list()).size).toBe(0);
    });
  });

  it("lets a route have new ones again when it is told so, after a restart too, and closes nobody for it", async () => {
    const shard = newShard();
    await shard.report({ v: 1, object: objectId("a"), sessions: [description("a")], closed: [] });
    await shard.order(refuseNew("chat", 0));
    await storesNothing(shard);
    await shard.order(refuseNew("chat", 60_000));
    await restart(shard);
    const report = { v: 1, object: objectId("a"), sessions: [description("a")], closed: [] } as const;
    expect((await shard.report(report)).drained?.size).toBe(1);
    expect((await shard.order(refuseNew("chat", 0))).matched).toBe(0);
    await restart(shard);
    expect(await shard.report(report)).toEqual({ v: 1 });
    expect((await shard.summary()).drained).toBeUndefined();
  });

  it("has room for some more routes that take no new ones than there may be, and says when there is none", async () => {
    await runInDurableObject(newShard(), async (object, { storage }) => {
      for (let index = 0; index < 1_100; index += 1) await object.order(refuseNew(`r${index}`, 60_000));
      await expect(object.order(refuseNew("one more", 60_000))).rejects.toThrow(
        "cannot give the order: 1100 routes take no new sessions already; take one back",
      );
      await object.order(refuseNew("r7", 120_000));
      await object.order(refuseNew("r8", 0));
      await object.order(refuseNew("one more", 60_000));
      expect(storage.kv.get<ReadonlyMap<string, unknown>>("drained")?.size).toBe(1_100);
    });
  });

  it("gives an order to 500 objects at most, and says where it goes on", async () => {
    await runInDurableObject(newShard(), async (object) => {
      for (let index = 0; index < 600; index += 1) {
        // No relay has such an id.
        const holder = index.toString(16).padStart(64, "0");
        object.report({ v: 1, object: holder, sessions: [description(`s${index}`)], closed: [] });
      }
      const order = { v: 1, filter: ANY, order: { kind: "close", code: 1012, reason: "", spreadMs: 0 } } as const;
      const first = await object.order(order);
      const { next } = first;
      if (next === null) throw new Error("all of it was carried out at once");
      const second = await object.order({ ...order, rest: next });
      expect([first, second].map(({ matched, failed }) => [matched, failed])).toEqual([
        [500, 500],
        [100, 100],
      ]);
      expect([next.given, next.of, second.next]).toEqual([500, 600, null]);
      await expect(object.order({ ...order, rest: { ...next, given: -1 } })).rejects.toThrow(
        "cannot give the order: rest",
      );
    });
  });

  it("refuses what it cannot read, in words", async () => {
    await runInDurableObject(newShard(), async (object) => {
      expect(() => object.report({ v: 1, object: "x", sessions: [], closed: [] })).toThrow(
        new TypeError("cannot take the report: object: got x, wanted the id of an object"),
      );
      expect(() => object.list({ v: 1, filter: ANY, limit: 0, after: null })).toThrow(
        "cannot list: limit: got 0, wanted 1 to 1000",
      );
    });
  });
});

describe("a relay's registration", () => {
  it("tells each shard of its sessions, of news alone, and of all after half a lease", async () => {
    const registration = createRegistration(env, objectId("a"));
    const reports = vi.spyOn(console, "warn").mockImplementation(() => {});
    const now = Date.now();
    const sessions = Array.from({ length: 12 }, (_, index) =>
      description(`r${index}`, { route: "told", openedAt: now }),
    );
    for (const session of sessions) await registration.opened(session);
    const all = sessions.map(({ id }) => id).sort();
    expect(await listedAnywhere("told")).toEqual(all);
    await registration.closed("r3");
    const rest = sessions.filter(({ id }) => id !== "r3");
    await registration.renew(rest, now + 10_000);
    expect(await listedAnywhere("told")).toEqual(all.filter((id) => id !== "r3"));
    expect(reports).not.toHaveBeenCalled();
  });

  it("turns away who was opened while its route was drained, but nobody who was there before or has come back", async () => {
    const shards = Array.from({ length: REGISTRY_SHARDS }, async (_, index) => {
      const { name } = await addresses(env.NAMING_SECRET ?? "").socketRegistry(index);
      return env.SOCKET_REGISTRY.getByName(name);
    });
    for (const shard of await Promise.all(shards)) await shard.order(refuseNew("drained", 60_000));
    const turnedAway: string[] = [];
    const registration = createRegistration(env, objectId("b"), (id) => turnedAway.push(id));
    const now = Date.now();
    const drained = { route: "drained", openedAt: now };
    await registration.opened(description("before", { ...drained, openedAt: now - 1 }));
    await registration.opened(description("new", drained));
    await registration.opened(description("resumed", { ...drained, mode: "held", resumes: 1 }));
    await registration.opened(description("elsewhere", { openedAt: now }));
    await registration.opened(description("late", { ...drained, openedAt: now + 60_000 }));
    expect(turnedAway).toEqual(["new"]);
  });

  it("turns away later whose first report was lost, as one may be while a shard restarts", async () => {
    for (let index = 0; index < REGISTRY_SHARDS; index += 1) {
      const { name } = await addresses(env.NAMING_SECRET ?? "").socketRegistry(index);
      await env.SOCKET_REGISTRY.getByName(name).order(refuseNew("closed", 60_000));
    }
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    let isDown = true;
    const registry = new Proxy(env.SOCKET_REGISTRY, {
      get: (target, method) => {
        if (isDown) throw new Error("the shard restarts");
        return Reflect.get(target, method).bind(target);
      },
    });
    const turnedAway: string[] = [];
    const known = { ...env, SOCKET_REGISTRY: registry };
    const registration = createRegistration(known, objectId("d"), (id) => turnedAway.push(id));
    const now = Date.now();
    const closed = { route: "closed", openedAt: now };
    const all = [
      description("new", closed),
      description("before", { ...closed, openedAt: now - 1 }),
      description("resumed", { ...closed, mode: "held", resumes: 1 }),
      description("elsewhere", { openedAt: now }),
    ];
    noteDrained(undefined);
    for (const session of all) await registration.opened(session);
    expect([turnedAway, warned.mock.calls.length]).toEqual([[], all.length]);
    isDown = false;
    await registration.renew(all, now + 30_000);
    expect(turnedAway).toEqual(["new"]);
    warned.mockRestore();
  });

  it("clears no timer again and again, of which something would be left: the others fire", async () => {
    const registration = createRegistration(env, objectId("c"));
    const clear = vi.spyOn(globalThis, "clearTimeout");
    const now = Date.now();
    for (let n = 1; n <= 3; n++) await registration.renew([description("timed")], now + n * 30_000);
    expect([clear.mock.calls.length, vi.getTimerCount()]).toEqual([1, 2]);
    clear.mockRestore();
    vi.advanceTimersByTime(2_000);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("tells what a flood of handshakes was once, for all objects of the isolate", async () => {
    let calls = 0;
    const registry = new Proxy(env.SOCKET_REGISTRY, {
      get: (target, method) => {
        // More come while one of them tells.
        if (method === "get") countHandshake("flooded", "upstream-refused");
        if (method === "get") calls += 1;
        return Reflect.get(target, method).bind(target);
      },
    });
    const told = Array.from({ length: 50 }, (_, index) => {
      countHandshake("flooded", "upstream-refused");
      return createRegistration({ ...env, SOCKET_REGISTRY: registry }, objectId(String(index % 10))).counted();
    });
    await Promise.all(told);
    const { name } = await addresses(env.NAMING_SECRET ?? "").socketRegistry(0);
    const { counts } = await env.SOCKET_REGISTRY.getByName(name).summary();
    expect([calls, counts.get("flooded")?.get("handshakes.upstream-refused")]).toEqual([1, 50]);
  });

  it("is no failure of the relay when the registry cannot be told", async () => {
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    const registration = createRegistration({ ...env, NAMING_SECRET: "short" }, objectId("a"));
    await registration.opened(description("x"));
    expect(warned).toHaveBeenCalledOnce();
    expect(JSON.parse(String(warned.mock.calls[0]?.[0]))).toMatchObject({ event: "socket-registry-not-told" });
    warned.mockRestore();
  });
});
