import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, it, vi } from "vitest";
import { noTally } from "../../objects/control-plane/cache-tally.ts";
import { MAX_RETENTION_MS, NO_PURGES, type PurgeTarget } from "../../objects/control-plane/purge.ts";

const NOW = Date.UTC(2026, 10, 22, 12);

let objects = 0;

function newPlane() {
  objects += 1;
  return env.CONTROL_PLANE.getByName(`plane ${objects}`);
}

/** Moves the clock that objects read. */
function atTime(now: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now });
}

afterEach(() => {
  vi.useRealTimers();
});

const tag = (value: string): PurgeTarget => ({ kind: "tag", value });
const TARGETS: readonly PurgeTarget[] = [
  { kind: "all" },
  { kind: "key", value: "k" },
  { kind: "route", value: "r" },
  tag("t"),
  { kind: "prefix", prefix: { method: "GET", host: "a.test:8080", path: "/x" } },
];

it("knows of no purge, and stores nothing, before the first", async () => {
  const plane = newPlane();
  expect(await plane.epochs({ v: 1, version: 0 })).toEqual({ v: 1, version: 0, epochs: null });
  const tables = await runInDurableObject(plane, (_object, { storage }) =>
    storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'purges'").toArray(),
  );
  expect(tables).toEqual([]);
});

it("remembers every kind of purge through an eviction", async () => {
  atTime(NOW);
  const plane = newPlane();
  for (const target of TARGETS) expect(await plane.purge({ v: 1, target, isSoft: false })).toEqual({ v: 1, at: NOW });
  await plane.purge({ v: 1, target: tag("soft"), isSoft: true });
  await evictDurableObject(plane);
  const hard = { hardAt: NOW, softAt: 0 };
  const prefix = { ...hard, of: { method: "GET", host: "a.test:8080", path: "/x" } };
  expect(await plane.epochs({ v: 1, version: 0 })).toEqual({
    v: 1,
    version: 6,
    epochs: {
      all: hard,
      keys: new Map([["k", hard]]),
      routes: new Map([["r", hard]]),
      tags: new Map([
        ["soft", { hardAt: 0, softAt: NOW }],
        ["t", hard],
      ]),
      prefixes: new Map([["GET:a.test:8080:/x", prefix]]),
    },
  });
});

it("tells an isolate only what is new to it", async () => {
  const plane = newPlane();
  await plane.purge({ v: 1, target: tag("t"), isSoft: false });
  expect((await plane.epochs({ v: 1, version: 1 })).epochs).toBe(null);
  await plane.purge({ v: 1, target: tag("t"), isSoft: false });
  expect((await plane.epochs({ v: 1, version: 1 })).epochs).not.toBe(null);
});

it("forgets purges that nothing kept is older than", async () => {
  atTime(NOW);
  const plane = newPlane();
  await plane.purge({ v: 1, target: tag("old"), isSoft: false });
  const later = NOW + MAX_RETENTION_MS + 1;
  atTime(later);
  await plane.purge({ v: 1, target: tag("new"), isSoft: false });
  await evictDurableObject(plane);
  expect((await plane.epochs({ v: 1, version: 0 })).epochs).toEqual({
    ...NO_PURGES,
    tags: new Map([["new", { hardAt: later, softAt: 0 }]]),
  });
});

it("keeps groups apart from tags, softly and through an eviction", async () => {
  atTime(NOW);
  const plane = newPlane();
  const values = ["https://a.test\ng", "https://b.test\ng"];
  await plane.purge({ v: 1, target: { kind: "groups", values }, isSoft: true });
  await plane.purge({ v: 1, target: tag("g"), isSoft: false });
  await evictDurableObject(plane);
  const soft = { hardAt: 0, softAt: NOW };
  expect(await plane.epochs({ v: 1, version: 0 })).toEqual({
    v: 1,
    version: 2,
    epochs: {
      ...NO_PURGES,
      tags: new Map([...values.map((value) => [value, soft] as const), ["g", { hardAt: NOW, softAt: 0 }]]),
    },
  });
});

it.each([
  ["another version", { v: 2, target: { kind: "all" }, isSoft: false }],
  ["no kind", { v: 1, target: { kind: "host", value: "a" }, isSoft: false }],
  ["no value", { v: 1, target: { kind: "tag", value: "" }, isSoft: false }],
  ["half a prefix", { v: 1, target: { kind: "prefix", prefix: { method: "", host: "" } }, isSoft: false }],
  ["groups of no origin", { v: 1, target: { kind: "groups", values: ["g"] }, isSoft: true }],
  ["more groups than 256", { v: 1, target: { kind: "groups", values: Array(257).fill("a\ng") }, isSoft: true }],
  ["neither hard nor soft", { v: 1, target: { kind: "all" } }],
])("refuses a purge of %s", async (_what, message) => {
  const plane = newPlane();
  const refused = await runInDurableObject(plane, (object) => {
    try {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a Worker of another version might send
      object.purge(message as never);
      return undefined;
    } catch (error) {
      return error;
    }
  });
  expect(refused).toBeInstanceOf(TypeError);
});

it("sums what caches did, and remembers it through an eviction", async () => {
  const plane = newPlane();
  const tally = noTally().with(0, 2);
  await plane.epochs({ v: 1, version: 0, tally });
  await plane.epochs({ v: 1, version: 0 });
  await plane.epochs({ v: 1, version: 0, tally });
  const sum = noTally().with(0, 5);
  const told = await plane.tally({ v: 1, tally: noTally().with(0, 1) });
  expect(told.counts).toEqual(sum);
  const saved = () => runInDurableObject(plane, (_object, { storage }) => storage.kv.get("cache-tally"));
  await vi.waitUntil(async () => (await saved()) !== undefined, { timeout: 10_000 });
  await evictDurableObject(plane);
  expect(await plane.tally({ v: 1 })).toEqual(told);
});
