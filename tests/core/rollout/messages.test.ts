import { describe, expect, it } from "vitest";
import { DEFAULT_ABORT } from "../../../schemas/policies/canary.ts";
import { unpackCounts } from "../../../objects/rollout/counts-packed.ts";
import { rolloutOrderProblem, rolloutReportProblem } from "../../../objects/rollout/rollout-messages.ts";
import { order, report, seen } from "./fixtures.ts";

describe("a message", () => {
  it("as an isolate makes it has no problem", () => {
    expect(rolloutReportProblem(report())).toBeUndefined();
    const later = { ...report(), later: "field" };
    expect(rolloutReportProblem(later)).toBeUndefined();
  });

  it.each<[object, string]>([
    [{ v: 2 }, "v: got 2, wanted 1; deploy the Worker and its objects together"],
    [{ isolate: "" }, "isolate: got , wanted 1 to 64 characters"],
    [{ release: 5 }, "release: got 5, wanted 1 to 64 characters"],
    [{ seq: -1 }, "seq: got -1, wanted an integer >= 0"],
    [{ epoch: 1.5 }, "epoch: got 1.5, wanted an integer >= 0"],
    [{ isolates: Number.NaN }, "isolates: got NaN, wanted an integer >= 0"],
    [{ configVersion: "7" }, "configVersion: got 7, wanted an integer >= 0"],
    [{ variants: "control" }, "variants: got control, wanted a list"],
    [{ variants: ["control"] }, "variants.length: got 1, wanted 2 to 8"],
    [{ variants: ["a", "a"] }, "variants[1]: got a, wanted each name once"],
    [{ variants: ["a", 1] }, "variants[1]: got 1, wanted 1 to 64 characters"],
    [{ policy: undefined }, "policy: got undefined, wanted an object or null"],
    [{ policy: { ...DEFAULT_ABORT, falseAborts: 0 } }, "policy.falseAborts: got 0, wanted a number in (0, 0.5]"],
    [{ policy: { ...DEFAULT_ABORT, windowMs: 10 } }, "policy.windowMs: got 10, wanted an integer >= 1000"],
    [{ policy: { ...DEFAULT_ABORT, minimumRequests: -1 } }, "policy.minimumRequests: got -1, wanted an integer >= 0"],
    [{ policy: { ...DEFAULT_ABORT, errors: 1 } }, "policy.errors: got 1, wanted an object or null"],
    [
      { policy: { ...DEFAULT_ABORT, errors: { ratio: 0.5, gap: 0 } } },
      "policy.errors.ratio: got 0.5, wanted a number from 1 to 1,000",
    ],
    [
      { policy: { ...DEFAULT_ABORT, errors: { ratio: 2, gap: 2 } } },
      "policy.errors.gap: got 2, wanted a number from 0 to 1",
    ],
    [
      { policy: { ...DEFAULT_ABORT, times: { quantile: 1, ratio: 2 } } },
      "policy.times.quantile: got 1, wanted a number from 0.01 to 0.999",
    ],
    [
      { policy: { ...DEFAULT_ABORT, times: { quantile: 0.5, ratio: 0 } } },
      "policy.times.ratio: got 0, wanted a number from 1 to 1,000",
    ],
    [{ counts: {} }, "counts: got an object, wanted a list"],
    [{ counts: [[0, 0]] }, "counts.length: got 1, wanted 17, for the control's cells and each other variant"],
    [
      {
        counts: seen([0, 0], [1, 2]),
      },
      "counts[16]: got an object, wanted requests, errors, and pairs of a bucket and its count",
    ],
  ])("with %j is refused in words", (changes, problem) => {
    expect(rolloutReportProblem({ ...report(), ...changes })).toBe(problem);
  });

  it.each<[readonly unknown[]]>([
    [[]],
    [[1]],
    [[-1, 0]],
    [[1, 2]],
    [[1, 0, 3]],
    [[1, 0, 69, 1]],
    [[1, 0, 0, 2]],
    [[5, 0, 0, -1]],
    [[1e10, 0, 0, 2 ** 32]],
    [Array<number>(200).fill(0)],
  ])("does not count with counts such as %j", (counts) => {
    expect(unpackCounts(counts)).toBeUndefined();
  });

  it.each<[object, string | undefined]>([
    [order("abort", "canary"), undefined],
    [order("promote", "canary"), undefined],
    [order("reset"), undefined],
    [order("abort"), "variant: got undefined, wanted 1 to 64 characters"],
    [{ v: 1, kind: "stop" }, "kind: got stop, wanted one of abort, promote, reset"],
    [{ v: 0, kind: "reset" }, "v: got 0, wanted 1; deploy the Worker and its objects together"],
    [{ v: 1, kind: "reset", by: 3 }, "by: got 3, wanted 1 to 64 characters"],
  ])("that orders %j: %s", (given, problem) => {
    expect(rolloutOrderProblem(given)).toBe(problem);
  });
});
