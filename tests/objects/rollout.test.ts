import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { RolloutOrder, RolloutReport } from "../../objects/rollout/rollout-messages.ts";
import { DEFAULT_ABORT } from "../../schemas/policies/canary.ts";

const DAY_MS = 86_400_000;
const CELLS = 16;
const TERMS = { configVersion: 1, release: "shop", variants: ["control", "next"], policy: DEFAULT_ABORT };
const NOBODY = [0, 0];

let objects = 0;
let seq = 0;
let lines: readonly Record<string, unknown>[] = [];

function newObject() {
  objects += 1;
  return env.ROLLOUT.getByName(`release ${objects}`);
}

type Owner = ReturnType<typeof newObject>;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + DAY_MS });
  lines = [];
  for (const level of ["log", "error"] as const) {
    vi.spyOn(console, level).mockImplementation((text: string) => void (lines = [...lines, JSON.parse(text)]));
  }
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** What an isolate has seen: requests and errors of the control's first cell and of the other variant. */
function report(control: readonly number[], next: readonly number[], changes: Partial<RolloutReport> = {}) {
  seq += 1;
  const counts = [control, ...Array.from({ length: CELLS - 1 }, () => NOBODY), next];
  return { v: 1, ...TERMS, isolate: "a", seq, epoch: 1, isolates: 1, counts, ...changes } satisfies RolloutReport;
}

function order(kind: RolloutOrder["kind"], variant?: string): RolloutOrder {
  return { v: 1, ...TERMS, kind, by: "ann", ...(variant === undefined ? {} : { variant }) };
}

/** Reports the same each second, so that rounds end. */
async function seconds(owner: Owner, count: number, control: readonly number[], next: readonly number[]) {
  let reply = await owner.report(report(NOBODY, NOBODY));
  for (let second = 0; second < count; second++) {
    vi.setSystemTime(Date.now() + 1_000);
    reply = await owner.report(report(control, next));
  }
  return reply;
}

async function tablesOf(owner: Owner): Promise<readonly unknown[]> {
  return runInDurableObject(owner, (_, { storage }) =>
    storage.sql
      .exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'")
      .toArray(),
  );
}

describe("a release", () => {
  it("of which nobody has said anything is unknown, and asking stores nothing", async () => {
    const owner = newObject();
    expect(await owner.status()).toBeNull();
    expect(await owner.ping()).toEqual({ v: 1 });
    expect(await tablesOf(owner)).toEqual([]);
  });

  it("is told to its isolates, and adds up what they have seen", async () => {
    const owner = newObject();
    const reply = await owner.report(report([95, 1, 20, 94], [5, 0, 24, 5]));
    expect(reply).toMatchObject({ v: 1, epoch: 1, release: "shop", promoted: null, aborted: [], isolates: 1 });
    vi.setSystemTime(Date.now() + 1_000);
    await owner.report(report([95, 1, 20, 94], [5, 0, 24, 5], { isolate: "b" }));
    expect(await owner.status()).toEqual({
      v: 1,
      release: "shop",
      epoch: 1,
      promoted: null,
      aborted: [],
      variants: [
        { name: "control", requests: 190, errors: 2, p50Ms: 32, p95Ms: 32, p99Ms: 32 },
        { name: "next", requests: 10, errors: 0, p50Ms: 64, p95Ms: 64, p99Ms: 64 },
      ],
      history: [],
    });
  });

  it("takes back a variant that fails, which is stored before anybody is told, and says so in the log", async () => {
    const owner = newObject();
    const reply = await seconds(owner, 20, [190, 2], [10, 5]);
    expect(reply).toMatchObject({ epoch: 2, aborted: ["next"] });
    const times = { p50Ms: null, p95Ms: null, p99Ms: null };
    const figures = [
      { name: "control", requests: 950, errors: 10, ...times },
      { name: "next", requests: 50, errors: 25, ...times },
    ];
    const event = { epoch: 2, variant: "next", cause: "more-errors", by: "", figures };
    expect(lines).toEqual([
      { level: "warn", event: "canary-aborted", release: "shop", at: expect.any(Number), ...event },
    ]);
    await evictDurableObject(owner);
    const { aborted, epoch, history } = (await owner.status()) ?? {};
    expect({ aborted, epoch, history }).toEqual({
      aborted: ["next"],
      epoch: 2,
      history: [{ kind: "aborted", at: expect.any(Number), ...event }],
    });
  });

  it("goes on with its figures after an eviction", async () => {
    const owner = newObject();
    await seconds(owner, 40, [19, 0], [1, 0]);
    await evictDurableObject(owner);
    const requests = ((await owner.status())?.variants ?? []).map((variant) => variant.requests);
    // Up to a window's figures may be lost.
    expect(requests[0]).toBeGreaterThanOrEqual(10 * 19);
    expect(requests[0]).toBe(19 * (requests[1] ?? 0));
  });

  it("aborts nothing where both fail alike", async () => {
    const reply = await seconds(newObject(), 60, [190, 19], [10, 1]);
    expect(reply).toMatchObject({ epoch: 1, aborted: [] });
  });

  it("whose record cannot be read begins anew above the epoch that its isolates know", async () => {
    const owner = newObject();
    await owner.order(order("abort", "next"));
    await runInDurableObject(owner, (_, { storage }) => void storage.sql.exec("UPDATE release SET state = '{'"));
    await evictDurableObject(owner);
    const reply = await owner.report(report(NOBODY, NOBODY, { epoch: 2 }));
    expect(reply).toMatchObject({ epoch: 3, aborted: [] });
    expect(lines).toContainEqual({ level: "error", event: "rollout-record-lost" });
  });
});

describe("an order", () => {
  it("is carried out though nobody has reported yet, and survives an eviction", async () => {
    const owner = newObject();
    const reply = await owner.order(order("promote", "next"));
    expect(reply).toMatchObject({ v: 1, kind: "done", status: { promoted: "next", aborted: [], epoch: 2 } });
    await evictDurableObject(owner);
    expect(await owner.report(report(NOBODY, NOBODY))).toMatchObject({ promoted: "next", epoch: 2 });
  });

  it("that resets begins the figures anew and gives each variant its share", async () => {
    const owner = newObject();
    await owner.report(report([95, 0], [5, 0]));
    await owner.order(order("abort", "next"));
    expect(await owner.order(order("reset"))).toMatchObject({
      kind: "done",
      status: { epoch: 3, aborted: [], variants: [{ requests: 0 }, { requests: 0 }] },
    });
  });

  it("that can't be carried out is refused, and stores nothing", async () => {
    const owner = newObject();
    expect(await owner.order(order("abort", "control"))).toEqual({
      v: 1,
      kind: "refused",
      problem:
        'variant: got "control", wanted another one: the control is who takes over; to take it from everybody promote a variant',
    });
    expect(await owner.order(order("promote", "v9"))).toEqual({
      v: 1,
      kind: "refused",
      problem: 'variant: got "v9", wanted one of "control", "next"',
    });
    expect(await tablesOf(owner)).toEqual([]);
  });
});

it.each([
  ["report", { v: 2 }, "cannot take the report: v: got 2, wanted 1; deploy the Worker and its objects together"],
  ["report", { ...TERMS, v: 1, isolate: "" }, "cannot take the report: isolate: got , wanted 1 to 64 characters"],
  [
    "order",
    { ...TERMS, v: 1, kind: "stop" },
    "cannot carry the order out: kind: got stop, wanted one of abort, promote, reset",
  ],
])("a malformed %s is refused and stores nothing: %j", async (method, message, problem) => {
  const owner = newObject();
  await runInDurableObject(owner, (instance) => {
    expect(() => Reflect.apply(Reflect.get(instance, method), instance, [message])).toThrow(problem);
  });
  expect(await tablesOf(owner)).toEqual([]);
});
