import { describe, expect, it } from "vitest";
import { leaseProblem } from "../../../objects/rate-limiter/leases/lease-messages.ts";
import { refundProblem, takeProblem } from "../../../objects/rate-limiter/messages.ts";
import { settleProblem } from "../../../objects/rate-limiter/settle-messages.ts";

const item = { policy: "p", tokensPerWindow: 10, windowMs: 1000, burst: 10, cost: 1, shadow: false };
const calendar = { unit: "month", timeZone: "Europe/Berlin" };
const monthly = { ...item, windowMs: 2_592_000_000, algorithm: "fixed-window", calendar };
const message = { v: 1, configVersion: 1, client: "c", items: [item] };
const refund = { v: 1, client: "c", isolate: "i", seq: 1, items: [{ policy: "p", cost: 1 }] };

describe("a take message", () => {
  it.each([
    ["as it should be", message],
    ["about nothing", { ...message, items: [] }],
    ["with fields that a later version adds", { ...message, seq: 4, items: [{ ...item, leaseId: "x" }] }],
    ["at the largest exact bucket", { ...message, items: [{ ...item, windowMs: 2 ** 20, burst: 2 ** 33 }] }],
    ["under a sliding window", { ...message, items: [{ ...item, algorithm: "sliding-window" }] }],
    ["under a quota of a month whose burst nobody counts", { ...message, items: [{ ...monthly, burst: 2 ** 40 }] }],
    ["under a quota without a calendar", { ...message, items: [{ ...item, algorithm: "fixed-window" }] }],
    ["that reserves for an hour", { ...message, items: [{ ...item, reserveMs: 3_600_000 }] }],
  ])("passes %s", (_title, sent) => {
    expect(takeProblem(sent)).toBeUndefined();
  });

  it.each([
    [{ ...message, v: 2 }, "v: got 2, wanted 1; deploy the Worker and its objects together"],
    [{}, "v: got undefined, wanted 1; deploy the Worker and its objects together"],
    [{ ...message, configVersion: -1 }, "configVersion: got -1, wanted an integer >= 0"],
    [{ ...message, configVersion: 1.5 }, "configVersion: got 1.5, wanted an integer >= 0"],
    [{ ...message, client: "" }, "client: got , wanted 1 to 64 characters"],
    [{ ...message, client: {} }, "client: got an object, wanted 1 to 64 characters"],
    [{ ...message, items: {} }, "items: got an object, wanted a list"],
    [{ ...message, items: Array.from({ length: 33 }, () => item) }, "items.length: got 33, wanted at most 32"],
    [{ ...message, items: [null] }, "items[0]: got null, wanted an object"],
    [{ ...message, items: [item, item] }, "items[1].policy: got p, wanted each policy once; add the costs up"],
    [{ ...message, items: [{ ...item, policy: "" }] }, "items[0].policy: got , wanted 1 to 256 characters"],
    [
      { ...message, items: [{ ...item, tokensPerWindow: 0 }] },
      "items[0].tokensPerWindow: got 0, wanted an integer >= 1",
    ],
    [{ ...message, items: [{ ...item, windowMs: NaN }] }, "items[0].windowMs: got NaN, wanted an integer >= 1"],
    [{ ...message, items: [{ ...item, burst: "10" }] }, "items[0].burst: got 10, wanted an integer >= 1"],
    [
      { ...message, items: [{ ...item, windowMs: 3, burst: 3_002_399_751_580_331 }] },
      "items[0].burst: got 3002399751580331, wanted burst * windowMs of at most 2^53; shorten the window or the burst",
    ],
    [{ ...message, items: [{ ...item, cost: -1 }] }, "items[0].cost: got -1, wanted an integer >= 0"],
    [{ ...message, items: [{ ...item, cost: Infinity }] }, "items[0].cost: got Infinity, wanted an integer >= 0"],
    [{ ...message, items: [{ ...item, shadow: 0 }] }, "items[0].shadow: got 0, wanted true or false"],
    [
      { ...message, items: [{ ...item, algorithm: "leaky" }] },
      "items[0].algorithm: got leaky, wanted token-bucket, sliding-window, approximate-sliding-window, fixed-window",
    ],
    [
      {
        ...message,
        items: [{ ...item, algorithm: "approximate-sliding-window", windowMs: 2 ** 20, tokensPerWindow: 2 ** 34 }],
      },
      "items[0].tokensPerWindow: got 17179869184, wanted tokensPerWindow * windowMs of at most 2^53",
    ],
    [
      { ...message, items: [{ ...item, calendar }] },
      "items[0].calendar: got an object, wanted nothing unless the algorithm is fixed-window",
    ],
    [{ ...message, items: [{ ...monthly, calendar: "day" }] }, "items[0].calendar: got day, wanted unit and timeZone"],
    [
      { ...message, items: [{ ...monthly, calendar: { ...calendar, unit: "year" } }] },
      "items[0].calendar.unit: got year, wanted minute, hour, day, week, month",
    ],
    [
      { ...message, items: [{ ...monthly, calendar: { unit: "day" } }] },
      "items[0].calendar.timeZone: got undefined, wanted 1 to 64 characters",
    ],
    [
      { ...message, items: [{ ...item, reserveMs: 0 }] },
      "items[0].reserveMs: got 0, wanted an integer from 1 to 3600000",
    ],
    [
      { ...message, items: [{ ...item, reserveMs: 3_600_001 }] },
      "items[0].reserveMs: got 3600001, wanted an integer from 1 to 3600000",
    ],
  ])("is refused: case %#", (sent, problem) => {
    expect(takeProblem(sent)).toBe(problem);
  });
});

describe("a refund message", () => {
  it.each([
    ["as it should be", refund],
    ["with fields that a later version adds", { ...refund, leaseId: "x" }],
    ["that says when", { ...refund, takenAt: 5 }],
  ])("passes %s", (_title, sent) => {
    expect(refundProblem(sent)).toBeUndefined();
  });

  it.each([
    [{ ...refund, v: "1" }, "v: got 1, wanted 1; deploy the Worker and its objects together"],
    [{ ...refund, client: 4 }, "client: got 4, wanted 1 to 64 characters"],
    [{ ...refund, isolate: "i".repeat(65) }, `isolate: got ${"i".repeat(65)}, wanted 1 to 64 characters`],
    [{ ...refund, seq: undefined }, "seq: got undefined, wanted an integer >= 0"],
    [{ ...refund, takenAt: null }, "takenAt: got null, wanted an integer >= 0 or nothing"],
    [{ ...refund, items: undefined }, "items: got undefined, wanted a list"],
    [{ ...refund, items: [{ policy: "p", cost: 0.5 }] }, "items[0].cost: got 0.5, wanted an integer >= 0"],
    [
      { ...refund, items: [...refund.items, ...refund.items] },
      "items[1].policy: got p, wanted each policy once; add the costs up",
    ],
  ])("is refused: case %#", (sent, problem) => {
    expect(refundProblem(sent)).toBe(problem);
  });
});

describe("a settle message", () => {
  const settle = { v: 1, client: "c", reservation: 7, items: [{ policy: "p", actual: 3, debtMax: 10 }] };

  it.each([
    ["as it should be", settle],
    ["that names no policy: all cost what was reserved", { ...settle, items: [] }],
    ["without a largest debt", { ...settle, items: [{ policy: "p", actual: 0 }] }],
    ["with fields that a later version adds", { ...settle, isolate: "i", items: [{ policy: "p", actual: 0, at: 1 }] }],
  ])("passes %s", (_title, sent) => {
    expect(settleProblem(sent)).toBeUndefined();
  });

  it.each([
    [{ ...settle, v: 2 }, "v: got 2, wanted 1; deploy the Worker and its objects together"],
    [{ ...settle, client: "" }, "client: got , wanted 1 to 64 characters"],
    [{ ...settle, reservation: null }, "reservation: got null, wanted an integer >= 0"],
    [{ ...settle, items: [{ policy: "", actual: 1 }] }, "items[0].policy: got , wanted 1 to 256 characters"],
    [{ ...settle, items: [{ policy: "p", actual: -1 }] }, "items[0].actual: got -1, wanted an integer >= 0"],
    [
      { ...settle, items: [{ policy: "p", actual: 1, debtMax: 0.5 }] },
      "items[0].debtMax: got 0.5, wanted an integer >= 0 or nothing",
    ],
  ])("is refused: case %#", (sent, problem) => {
    expect(settleProblem(sent)).toBe(problem);
  });
});

describe("a lease message that holds", () => {
  const held = { ...item, held: 0, spent: [], rate: 0, denied: 0 };
  const rest = { configVersion: 1, isolate: "i", seq: 1, leaseId: null, keep: false, want: 0, spanMs: 0, binMs: 1 };
  const lease = { v: 1, client: "c", ...rest, hold: true, items: [held] };

  it("passes", () => {
    expect(leaseProblem(lease)).toBeUndefined();
    expect(leaseProblem({ ...lease, hold: false, items: [{ ...held, algorithm: "sliding-window" }] })).toBeUndefined();
  });

  it("says what is wrong with what is said of shards", () => {
    expect(leaseProblem({ ...lease, shardOf: { root: "r", count: 2 }, shard: { count: 0, calls: 9 } })).toBeUndefined();
    expect(leaseProblem({ ...lease, shardOf: "r" })).toBe("shardOf: got r, wanted root and count");
    expect(leaseProblem({ ...lease, shardOf: { root: 7, count: 2 } })).toBe(
      "shardOf.root: got 7, wanted 1 to 256 characters",
    );
    expect(leaseProblem({ ...lease, shard: { count: 2, calls: -1 } })).toBe(
      "shard.calls: got -1, wanted an integer >= 0",
    );
  });

  it("is refused where it can't be lent", () => {
    expect(leaseProblem({ ...lease, hold: 1 })).toBe("hold: got 1, wanted true, false or nothing");
    expect(leaseProblem({ ...lease, items: [{ ...held, algorithm: "approximate-sliding-window" }] })).toBe(
      "items[0].algorithm: got approximate-sliding-window, wanted one that is lent where `hold` is true; take and refund instead",
    );
  });
});
