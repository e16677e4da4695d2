import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { TargetOrder, TargetReply } from "../../objects/circuit-breaker/target-messages.ts";
import { CHECKED, POLICY, report, TARGET, watch } from "./target-messages.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
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
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + DAY_MS });
  vi.spyOn(console, "log").mockImplementation(() => {});
  vi.spyOn(console, "warn").mockImplementation(() => {});
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function passes(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

function order(kind: TargetOrder["kind"], by?: string): TargetOrder {
  return { v: 1, target: TARGET, kind, ...(by === undefined ? {} : { by }) };
}

/** Names of what an object keeps: its tables, and "alarm". */
function kept(owner: Owner): Promise<unknown[]> {
  return runInDurableObject(owner, async (_object, { storage }) => {
    const names = storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray();
    const alarm = await storage.getAlarm();
    return [...names.map(({ name }) => name), ...(alarm === null ? [] : ["alarm"])];
  });
}

/** How many rows statements have changed since the object started. */
function changes(owner: Owner): Promise<number> {
  return runInDurableObject(owner, (_object, { storage }) =>
    Number(storage.sql.exec("SELECT total_changes() AS changes").one()["changes"]),
  );
}

/** Goes to the time of the alarm and lets it ring. */
async function ring(owner: Owner): Promise<void> {
  const at = await runInDurableObject(owner, (_object, { storage }) => storage.getAlarm());
  vi.setSystemTime(at ?? Number.NaN);
  await runDurableObjectAlarm(owner);
}

/** An owner whose breaker has just opened, by the vote of its only isolate. */
async function openOwner(): Promise<Owner> {
  const owner = newObject();
  await owner.report(report());
  passes(LEARNT_MS);
  expect((await owner.report(report({ isFailing: true, failed: 5 }))).circuit).toBe("open");
  return owner;
}

/** One that is to be probed. */
async function ripeOwner(): Promise<Owner> {
  const owner = await openOwner();
  passes(MINUTE_MS);
  return owner;
}

/** What so many isolates are told that ask for a permit at once. */
function askAtOnce(owner: Owner, count: number, epoch = 2): Promise<TargetReply[]> {
  const isolates = Array.from({ length: count }, (_, index) => `asker ${index}`);
  return Promise.all(isolates.map((isolate) => owner.report(report({ isolate, epoch, wantsPermit: true }))));
}

describe("the owner of a target", () => {
  it("stores nothing while its breaker is closed and nobody wants more", async () => {
    const owner = newObject();
    expect(await owner.status()).toBeNull();
    await owner.report(report({ ok: 100 }));
    await owner.watch(watch({ health: null }));
    await owner.ping();
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

  it("logs each change once, where warnings go when it is for the worse", async () => {
    const noted = vi.spyOn(console, "log").mockImplementation(() => {});
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    const owner = await openOwner();
    await owner.report(report({ epoch: 2, isolate: "b" }));
    await owner.order(order("reset", "ann"));
    const lines = [warned, noted].map(({ mock }) => mock.calls.map(([text]) => JSON.parse(String(text))));
    const line = { event: "target-changed", time: new Date().toISOString(), target: TARGET, kind: "circuit" };
    expect(lines).toEqual([
      [{ level: "warn", ...line, from: "closed", to: "open", cause: "consecutive-failures" }],
      [{ level: "info", ...line, from: "open", to: "closed", cause: "reset", by: "ann" }],
    ]);
  });

  it("writes no row for a report that changes nothing", async () => {
    const owner = await openOwner();
    const before = await changes(owner);
    for (const isolate of ["b", "c", "d"]) await owner.report(report({ isolate, epoch: 2 }));
    expect(await changes(owner)).toBe(before);
  });

  it.each(["UPDATE ON records", "INSERT ON events"])(
    "neither tells nor keeps a change whose %s fails",
    async (write) => {
      const owner = await ripeOwner();
      await runInDurableObject(owner, (object, { storage }) => {
        storage.sql.exec(`CREATE TRIGGER full BEFORE ${write} BEGIN SELECT RAISE(ABORT, 'disk full'); END`);
        expect(() => object.report(report({ epoch: 2, wantsPermit: true }))).toThrow("disk full");
        expect(object.status()).toMatchObject({ circuit: "open", epoch: 2, probes: 0 });
        storage.sql.exec("DROP TRIGGER full");
      });
      await evictDurableObject(owner);
      expect(await owner.status()).toMatchObject({ circuit: "open", epoch: 2, probes: 0 });
      expect(await owner.report(report({ epoch: 2, wantsPermit: true }))).toMatchObject({
        epoch: 3,
        permit: { id: 1 },
      });
      expect((await owner.status())?.events.map(({ to }) => to)).toEqual(["half-open", "open"]);
    },
  );
});

describe("permits to probe", () => {
  it("are as many as configured, for 200 isolates that ask at once", async () => {
    const owner = await ripeOwner();
    const before = await changes(owner);
    const replies = await askAtOnce(owner, 200);
    expect(replies.flatMap(({ permit }) => permit?.id ?? [])).toEqual([1, 2, 3]);
    expect(new Set(replies.map(({ circuit, epoch }) => `${circuit} ${epoch}`))).toEqual(new Set(["half-open 3"]));
    // One row for each permit, the change of the state and its event with the first.
    expect((await changes(owner)) - before).toBe(4);
  });

  it("stay as many after an eviction", async () => {
    const owner = await ripeOwner();
    await askAtOnce(owner, 2);
    await evictDurableObject(owner);
    const replies = await askAtOnce(owner, 50, 3);
    expect(replies.flatMap(({ permit }) => permit?.id ?? [])).toEqual([3]);
  });

  it("are given once for a message that comes twice", async () => {
    const owner = await ripeOwner();
    const message = report({ epoch: 2, wantsPermit: true });
    const reply = await owner.report(message);
    expect(reply.permit?.id).toBe(1);
    expect(await owner.report(message)).toEqual(reply);
    expect((await owner.status())?.probes).toBe(1);
  });

  it("close the breaker when their probes succeed, each of which counts once", async () => {
    const owner = await ripeOwner();
    await askAtOnce(owner, 3);
    const success = (permit: number) => report({ epoch: 3, probes: [{ permit, outcome: "success" }] });
    for (let repetition = 0; repetition < 3; repetition += 1) {
      expect((await owner.report(success(1))).circuit).toBe("half-open");
    }
    expect(await owner.report(success(2))).toMatchObject({ circuit: "closed", epoch: 4 });
  });

  it("open it again when one fails", async () => {
    const owner = await ripeOwner();
    await askAtOnce(owner, 3);
    const failure = report({ epoch: 3, probes: [{ permit: 2, outcome: "failure" }] });
    expect(await owner.report(failure)).toMatchObject({ circuit: "open", epoch: 4 });
    expect(await owner.status()).toMatchObject({ remainingMs: 2 * MINUTE_MS, openings: 2 });
  });
});

describe("what was seen in an earlier epoch", () => {
  it("never opens a breaker that has closed since", async () => {
    const owner = await ripeOwner();
    await owner.order(order("reset"));
    passes(LEARNT_MS);
    await owner.report(report({ epoch: 2, isFailing: true, failed: 1_000 }));
    expect(await owner.status()).toMatchObject({ circuit: "closed", window: { ok: 0, failed: 0, slow: 0 } });
    expect((await owner.report(report({ epoch: 3, isFailing: true, failed: 5 }))).circuit).toBe("open");
  });
});

describe("an operator", () => {
  it("holds a breaker open, whatever its target does, until he ends that", async () => {
    const owner = newObject();
    expect(await owner.order(order("open", "ann"))).toMatchObject({
      circuit: "forced-open",
      target: TARGET,
      backend: null,
    });
    passes(DAY_MS);
    await evictDurableObject(owner);
    expect(await owner.report(report({ wantsPermit: true }))).toMatchObject({ circuit: "forced-open", permit: null });
    expect(await owner.order(order("auto", "bob"))).toMatchObject({ circuit: "closed", backend: "api" });
    expect((await owner.status())?.events.map(({ from, to, cause, by }) => [from, to, cause, by])).toEqual([
      ["forced-open", "closed", "operator", "bob"],
      ["closed", "forced-open", "operator", "ann"],
    ]);
  });

  it("holds a breaker closed, whatever its target does", async () => {
    const owner = await openOwner();
    await owner.order(order("close"));
    passes(LEARNT_MS);
    expect((await owner.report(report({ epoch: 3, isFailing: true, failed: 1_000 }))).circuit).toBe("forced-closed");
  });

  it("closes it by a reset, and its openings are forgotten", async () => {
    const owner = await openOwner();
    expect(await owner.order(order("reset"))).toMatchObject({ circuit: "closed", openings: 0 });
  });

  it("takes a target out of service for new clients, which isolates are told until he ends it", async () => {
    const owner = newObject();
    expect(await owner.order(order("drain", "ann"))).toMatchObject({ isDraining: true, circuit: "closed" });
    await owner.order(order("drain", "bob"));
    await evictDurableObject(owner);
    expect((await owner.watch(watch({ health: null }))).news.isDraining).toBe(true);
    expect((await owner.report(report())).news.isDraining).toBe(true);
    await owner.order(order("auto"));
    expect((await owner.watch(watch({ health: null }))).news.isDraining).toBe(false);
    expect((await owner.status())?.events.map(({ kind, to, by }) => [kind, to, by])).toEqual([
      ["drain", "off", "operator"],
      ["drain", "on", "ann"],
    ]);
  });

  it("sees the last hundred of a thousand events that are kept", async () => {
    const owner = newObject();
    await runInDurableObject(owner, (object) => {
      for (let round = 0; round < 505; round += 1) {
        object.order(order("open", `open ${round}`));
        object.order(order("auto", `auto ${round}`));
      }
    });
    const { events } = (await owner.status()) ?? {};
    expect(events).toHaveLength(100);
    expect(events?.[0]?.by).toBe("auto 504");
    const stored = await runInDurableObject(owner, (_object, { storage }) =>
      storage.sql.exec("SELECT count(*) AS count, min(by) AS first FROM events WHERE id <= 12").one(),
    );
    expect(stored).toEqual({ count: 2, first: "auto 5" });
  });
});

describe("an isolate that watches", () => {
  it("comes back after five seconds or so, later when there are hundreds", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    const owner = newObject();
    expect(await owner.watch(watch())).toEqual({
      v: 1,
      news: { downForMs: null, isDraining: false, wellForMs: null },
      isolates: 1,
      pollMs: 5_000,
    });
    const isolates = Array.from({ length: 399 }, (_, index) => `isolate ${index}`);
    const replies = await Promise.all(isolates.map((isolate) => owner.watch(watch({ isolate }))));
    expect(replies.at(-1)).toMatchObject({ isolates: 400, pollMs: 20_000 });
    passes(5 * MINUTE_MS);
    expect(await owner.watch(watch())).toMatchObject({ isolates: 1, pollMs: 5_000 });
  });
});

describe("a record that cannot be read", () => {
  it.each([["not JSON"], ['{"e":1}']])(
    "(%s) is logged, and the epoch goes on above what isolates know",
    async (text) => {
      const errors = vi.spyOn(console, "error").mockImplementation(() => {});
      const owner = await openOwner();
      await owner.order(order("drain"));
      await runInDurableObject(owner, (_object, { storage }) => {
        storage.sql.exec("UPDATE records SET state = ?", text);
      });
      await evictDurableObject(owner);
      // What happened is in a table of its own.
      expect(await owner.status()).toMatchObject({ target: "", circuit: "closed", epoch: 1, events: [{}, {}] });
      expect(errors.mock.calls.map(([line]) => JSON.parse(String(line)))).toEqual([
        { level: "error", event: "circuit-breaker-record-lost", record: "breaker" },
        { level: "error", event: "circuit-breaker-record-lost", record: "target" },
      ]);
      expect(await owner.report(report({ epoch: 2 }))).toMatchObject({ epoch: 3, circuit: "closed" });
      expect((await owner.status())?.events[0]).toMatchObject({ to: "closed", cause: "state-lost" });
      await evictDurableObject(owner);
      expect(await owner.status()).toMatchObject({ epoch: 3, circuit: "closed", backend: "api" });
    },
  );
});

describe("a target whose record alone is lost", () => {
  it("still shows what its breaker does, and is named again by the next message", async () => {
    const errors = vi.spyOn(console, "error").mockImplementation(() => {});
    const owner = await openOwner();
    await owner.order(order("open"));
    await runInDurableObject(owner, (_object, { storage }) => {
      storage.sql.exec("UPDATE records SET state = '[]' WHERE name = 'target'");
    });
    await evictDurableObject(owner);
    expect(await owner.status()).toMatchObject({ circuit: "forced-open", target: "", backend: null });
    expect(errors).toHaveBeenCalledOnce();
    await owner.report(report({ epoch: 3 }));
    expect(await owner.status()).toMatchObject({ circuit: "forced-open", target: TARGET, backend: "api" });
  });

  it("is forgotten like any other where no isolate tells it again", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const owner = await openOwner();
    await owner.order(order("drain"));
    await runInDurableObject(owner, async (_object, { storage }) => {
      storage.sql.exec("UPDATE records SET state = '[]' WHERE name = 'target'");
      await storage.deleteAlarm();
    });
    await evictDurableObject(owner);
    expect(await kept(owner)).toEqual(["records", "events", "alarm"]);
    const from = Date.now();
    await evictDurableObject(owner);
    await ring(owner);
    expect(Date.now() - from).toBe(7 * DAY_MS);
    expect(await kept(owner)).toEqual([]);
  });
});

describe("a target of which nothing is heard", () => {
  it("is forgotten with all storage after a week", async () => {
    const owner = await openOwner();
    expect(await kept(owner)).toEqual(["records", "events", "alarm"]);
    const from = Date.now();
    await ring(owner);
    expect(Date.now() - from).toBe(7 * DAY_MS - LEARNT_MS);
    expect(await kept(owner)).toEqual([]);
    expect(await owner.status()).toBeNull();
    expect(await owner.report(report())).toMatchObject({ epoch: 1, circuit: "closed" });
  });

  it("is remembered while isolates use it", async () => {
    const owner = await openOwner();
    for (let day = 0; day < 6; day += 1) {
      passes(DAY_MS);
      await owner.report(report({ epoch: 2 }));
    }
    await evictDurableObject(owner);
    await ring(owner);
    expect(await owner.status()).toMatchObject({ epoch: 2 });
  });

  it("is remembered while an operator's order stands", async () => {
    const owner = newObject();
    await owner.order(order("open"));
    expect(await kept(owner)).toEqual(["records", "events"]);
    await owner.order(order("auto"));
    expect(await kept(owner)).toEqual(["records", "events", "alarm"]);
  });
});

describe("a malformed message", () => {
  const WANTED_V = "wanted 1; deploy the Worker and its objects together";

  it.each<[string, object, string]>([
    ["another version", { v: 2 }, `v: got 2, ${WANTED_V}`],
    ["no isolate", { isolate: "" }, "isolate: got , wanted 1 to 64 characters"],
    ["counts below zero", { failed: -1 }, "failed: got -1, wanted an integer >= 0"],
    ["no policy", { policy: null }, "policy: got null, wanted an object"],
    ["a policy of no sense", { policy: { ...POLICY, openMs: 0 } }, "policy.openMs: got 0, wanted an integer >= 1"],
    ["no target", { target: undefined }, "target: got undefined, wanted a URL of at most 8192 characters"],
    ["no backend", { backend: "" }, "backend: got , wanted 1 to 256 characters"],
    ["no word on health", { health: undefined }, "health: got undefined, wanted an object or null"],
    ["checks without an end", { health: { ...CHECKED, fall: 0 } }, "health.fall: got 0, wanted an integer >= 1"],
  ])("is refused: %s", async (_title, changed, problem) => {
    const owner = newObject();
    await runInDurableObject(owner, (object) => {
      const message = { ...report(), ...changed };
      expect(() => object.report(message)).toThrow(new TypeError(`cannot take the report: ${problem}`));
    });
    expect(await owner.status()).toBeNull();
  });

  it("is refused by watch and order alike", async () => {
    await runInDurableObject(newObject(), (object) => {
      const question = { ...watch(), configVersion: -1 };
      expect(() => object.watch(question)).toThrow("cannot watch: configVersion: got -1, wanted an integer >= 0");
      const unknown: unknown = { ...order("open"), kind: "explode" };
      expect(() => Reflect.apply(Reflect.get(object, "order"), object, [unknown])).toThrow(
        "cannot carry the order out: kind: got explode, wanted one of open, close, auto, reset, drain",
      );
    });
  });
});
