import { describe, expect, it } from "vitest";
import { refundProblem, takeProblem } from "../../../objects/rate-limiter/messages.ts";

const item = { policy: "p", tokensPerWindow: 10, windowMs: 1000, burst: 10, cost: 1, shadow: false };
const message = { v: 1, configVersion: 1, client: "c", items: [item] };
const refund = { v: 1, client: "c", isolate: "i", seq: 1, items: [{ policy: "p", cost: 1 }] };

describe("a take message", () => {
  it.each([
    ["as it should be", message],
    ["about nothing", { ...message, items: [] }],
    ["with fields that a later version adds", { ...message, seq: 4, items: [{ ...item, leaseId: "x" }] }],
    ["at the largest exact bucket", { ...message, items: [{ ...item, windowMs: 2 ** 20, burst: 2 ** 33 }] }],
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
  ])("is refused: case %#", (sent, problem) => {
    expect(takeProblem(sent)).toBe(problem);
  });
});

describe("a refund message", () => {
  it.each([
    ["as it should be", refund],
    ["with fields that a later version adds", { ...refund, leaseId: "x" }],
  ])("passes %s", (_title, sent) => {
    expect(refundProblem(sent)).toBeUndefined();
  });

  it.each([
    [{ ...refund, v: "1" }, "v: got 1, wanted 1; deploy the Worker and its objects together"],
    [{ ...refund, client: 4 }, "client: got 4, wanted 1 to 64 characters"],
    [{ ...refund, isolate: "i".repeat(65) }, `isolate: got ${"i".repeat(65)}, wanted 1 to 64 characters`],
    [{ ...refund, seq: undefined }, "seq: got undefined, wanted an integer >= 0"],
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
