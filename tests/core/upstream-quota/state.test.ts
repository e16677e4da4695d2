import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  acquireProblem,
  releaseProblem,
  signalProblem,
  type SignalMessage,
} from "../../../objects/upstream-quota/quota-messages.ts";
import { QUOTA_PRESETS } from "../../../schemas/policies/backends/quota.ts";
import { newState, packState, unpackState } from "../../../objects/upstream-quota/quota-state.ts";
import { createQuotaTally, quotaStatus } from "../../../objects/upstream-quota/quota-status.ts";
import { policyOf, QuotaWorld, START, termsOf } from "./quota-world.ts";

describe("a row", () => {
  it("reads back as what it was written from, whatever happened before", () => {
    const acts = fc.array(fc.constantFrom("ask", "pass", "throttle", "ok", "return"), { maxLength: 60 });
    fc.assert(
      fc.property(acts, (list) => {
        const world = new QuotaWorld(policyOf());
        for (const act of list) {
          if (act === "ask") world.ask(["a"], { toleranceMs: 70 });
          if (act === "pass") world.pass(777);
          if (act === "throttle") world.hear({ kind: "throttled", retryAfterMs: null });
          if (act === "ok") world.hear({ kind: "ok" });
          if (act === "return") world.giveBack(world.state.lastSlot);
          expect(unpackState(packState(world.state))).toEqual(world.state);
        }
      }),
      { numRuns: 50 },
    );
  });

  it.each(["30-per-minute", "60-per-minute"] as const)("of %s, all used up, is at most 1 kB", (name) => {
    const policy = QUOTA_PRESETS[name];
    const world = new QuotaWorld({ ...policy, maxQueue: 1_000 });
    world.ask(Array.from({ length: policy.requests }, () => "a"));
    world.pass(60_000);
    expect(packState(world.state).length).toBeLessThan(1_024);
  });

  const packed: object = JSON.parse(packState(newState(termsOf(policyOf()), false, START)));

  it.each<[string, unknown]>([
    ["no JSON", "{"],
    ["no object", "3"],
    ["no quota", { ...packed, q: 1 }],
    ["no version", { ...packed, v: -1 }],
    ["a policy of no sense", { ...packed, y: [1, 2] }],
    ["a burst above the requests", { ...packed, y: [1, 60_000, 9, 0, 0, 1, 1, 1] }],
    ["no clock", { ...packed, c: [1] }],
    ["a clock of text", { ...packed, c: ["now", 0] }],
    ["no window", { ...packed, w: null }],
    ["counts below zero", { ...packed, w: [1, 1, [5, -1]] }],
    ["more tokens than a burst", { ...packed, b: [11, 0, 0] }],
    ["no last slot", { ...packed, l: [1, 2, -1] }],
    ["no pause", { ...packed, p: [] }],
    ["a pause for no reason that there is", { ...packed, p: [1, "why", 1, 0] }],
  ])("with %s is lost", (_title, row) => {
    expect(unpackState(typeof row === "string" ? row : JSON.stringify(row))).toBeUndefined();
  });

  it("that a newer version wrote more into is read", () => {
    expect(unpackState(JSON.stringify({ ...packed, z: 1 }))).toEqual(unpackState(JSON.stringify(packed)));
  });

  it("that was lost leaves nothing for a window, and no old slot can be taken for a new one", () => {
    const { lastSlot, pace } = newState(termsOf(policyOf()), true, START);
    expect(lastSlot).toBe(START * 1_000);
    expect(pace.bucket.tokens).toBe(0);
  });
});

describe("a status", () => {
  it("says what is left, who waits, how long it took, and what holds everybody up", () => {
    const world = new QuotaWorld(policyOf());
    const tally = createQuotaTally();
    world.ask(["a", "b", "b"]);
    world.ask(["c"], { priority: "critical" });
    world.pass(50);
    world.hear({ kind: "throttled", retryAfterMs: 3_000 });
    world.pass(50);
    const { quota, configVersion, policy } = world.state;
    expect(quotaStatus({ ...world.state, clock: { at: START + 100, offset: 0 } }, world.memory.room, tally)).toEqual({
      quota,
      configVersion,
      policy,
      tokens: { requests: 29, burst: 9, nextInMs: 2_950 },
      queue: { length: 3, clients: 2, byPriority: { critical: 1, normal: 2, low: 0 }, oldestMs: 100 },
      waits: null,
      counts: { granted: 0, ahead: 0, queueFull: 0, deadline: 0, withdrawn: 0, returned: 0 },
      pause: { remainingMs: 2_950, cause: "retry-after" },
      throttles: 1,
    });
  });

  it("counts what happened, and remembers the waits of the last 200", () => {
    const tally = createQuotaTally();
    const waiter = {
      isolate: "a",
      seq: 1,
      client: "c",
      priority: "low",
      arrivedAt: 0,
      deadlineAt: 0,
      toleranceMs: 0,
      spare: 0,
    } as const;
    const slot = { id: 1, inMs: 0, forMs: 1, count: 1 };
    const grant = (heldMs: number) => ({ waiter, slots: [slot, slot], heldMs, epoch: 1, wantsSuccess: false });
    tally.note([grant(90_000)], [{ waiter, why: "queue-full", retryAfterMs: 1 }]);
    tally.note(
      Array.from({ length: 200 }, (_, index) => grant(index + 1)),
      [{ waiter, why: "deadline", retryAfterMs: 1 }],
    );
    tally.left({ withdrawn: 2, returned: 3 });
    expect(tally.waits).toEqual({ p50Ms: 100, p95Ms: 190, maxMs: 200 });
    expect(tally.counts).toEqual({ granted: 201, ahead: 201, queueFull: 1, deadline: 1, withdrawn: 2, returned: 3 });
  });
});

describe("a message", () => {
  const MESSAGE = new QuotaWorld(policyOf()).message("a");
  const SIGNAL: SignalMessage = { v: 1, epoch: 1, signal: { kind: "ok" }, ...termsOf(policyOf()) };
  const RELEASE = { v: 1, isolate: "a", withdrawn: [1], unused: [] } as const;
  const VERSION = "v: got 2, wanted 1; deploy the Worker and its objects together";

  it("that is sound has no problem, unknown fields or not", () => {
    const more = { more: 1 };
    expect([
      acquireProblem({ ...MESSAGE, ...more }),
      signalProblem({ ...SIGNAL, ...more }),
      releaseProblem({ ...RELEASE, ...more }),
    ]).toEqual([undefined, undefined, undefined]);
  });

  it.each<[object, string]>([
    [{ v: 2 }, VERSION],
    [{ isolate: "" }, "isolate: got , wanted 1 to 64 characters"],
    [{ client: "c".repeat(65) }, `client: got ${"c".repeat(65)}, wanted 1 to 64 characters`],
    [{ priority: "urgent" }, "priority: got urgent, wanted one of critical, normal, low"],
    [{ seq: -1 }, `seq: got -1, wanted an integer from 0 to ${Number.MAX_SAFE_INTEGER}`],
    [{ waitMs: 300_001 }, "waitMs: got 300001, wanted an integer from 0 to 300000"],
    [{ toleranceMs: 2_001 }, "toleranceMs: got 2001, wanted an integer from 0 to 2000"],
    [{ spare: 1.5 }, "spare: got 1.5, wanted an integer from 0 to 500000"],
    [{ unused: [{ id: 1, count: 1 }, 2] }, "unused[1]: got 2, wanted an id and a count"],
    [{ unused: [{ id: 1, count: -1 }] }, "unused[0]: got an object, wanted an id and a count"],
    [{ unused: 3 }, "unused: got 3, wanted a list"],
    [{ quota: "" }, "quota: got , wanted 1 to 256 characters"],
    [{ configVersion: -1 }, "configVersion: got -1, wanted an integer >= 0"],
    [{ policy: null }, "policy: got null, wanted an object"],
    [{ policy: policyOf({ requests: 0 }) }, "policy.requests: got 0, wanted an integer >= 1"],
    [
      { policy: policyOf({ windowMs: 1e12 }) },
      "policy.windowMs: got 1000000000000, wanted at most 2678400000, a month",
    ],
    [
      { policy: policyOf({ requests: 2 ** 52 }) },
      "policy.requests: got 4503599627370496, wanted at most 2^53 / windowMs",
    ],
    [{ policy: policyOf({ burst: 31 }) }, "policy.burst: got 31, wanted at most requests, 30"],
    [
      { policy: policyOf({ spacingMs: 60_001 }) },
      "policy.spacingMs: got 60001, wanted an integer from 0 to windowMs, 60000",
    ],
    [{ policy: policyOf({ maxQueue: 10_001 }) }, "policy.maxQueue: got 10001, wanted an integer from 0 to 10000"],
    [{ policy: { ...policyOf(), backoff: 1 } }, "policy.backoff: got 1, wanted an object"],
    [
      { policy: policyOf({ backoff: { baseMs: 0, maxMs: 1 } }) },
      "policy.backoff.baseMs: got 0, wanted an integer >= 1",
    ],
  ])("that asks with %j is told what is wrong", (changes, problem) => {
    expect(acquireProblem({ ...MESSAGE, ...changes })).toBe(problem);
  });

  it.each<[object, string]>([
    [{ v: 2 }, VERSION],
    [{ epoch: null }, "epoch: got null, wanted an integer >= 0"],
    [{ signal: "ok" }, "signal: got ok, wanted an object"],
    [{ signal: { kind: "well" } }, "signal.kind: got well, wanted one of throttled, exhausted, ok"],
    [{ signal: { kind: "exhausted" } }, "signal.resetMs: got undefined, wanted an integer >= 0"],
    [
      { signal: { kind: "throttled", retryAfterMs: -1 } },
      "signal.retryAfterMs: got -1, wanted an integer >= 0 or null",
    ],
    [{ policy: 7 }, "policy: got 7, wanted an object"],
  ])("that tells of an answer with %j is told what is wrong", (changes, problem) => {
    expect(signalProblem({ ...SIGNAL, ...changes })).toBe(problem);
  });

  it.each<[object, string]>([
    [{ v: 2 }, VERSION],
    [{ isolate: 1 }, "isolate: got 1, wanted 1 to 64 characters"],
    [{ withdrawn: undefined }, "withdrawn: got undefined, wanted a list"],
    [{ unused: Array.from({ length: 257 }, () => 1) }, "unused.length: got 257, wanted at most 256"],
  ])("that gives back with %j is told what is wrong", (changes, problem) => {
    expect(releaseProblem({ ...RELEASE, ...changes })).toBe(problem);
  });
});
