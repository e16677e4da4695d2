import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addOutcomes, countOutcomes, emptyWindow } from "../../../objects/circuit-breaker/outcome-window.ts";
import { classify, type CallEnd, type Outcome } from "../../../objects/circuit-breaker/outcome.ts";
import {
  addOutcome,
  failedShare,
  noOutcomes,
  type RecentOutcomes,
} from "../../../objects/circuit-breaker/recent-outcomes.ts";
import { START } from "./fixtures.ts";

const POLICY = { slowCallMs: 5_000, operationTimeoutMs: 10_000 };

function response(status: number, changes: { hasRetryAfter?: boolean; durationMs?: number } = {}): CallEnd {
  return { kind: "response", status, hasRetryAfter: false, durationMs: 10, ...changes };
}

describe("what a call says of its target", () => {
  it.each<[CallEnd, Outcome]>([
    [{ kind: "error", error: "connection" }, "failure"],
    [{ kind: "error", error: "timeout" }, "failure"],
    [{ kind: "error", error: "malformed" }, "failure"],
    [{ kind: "error", error: "body-cut" }, "failure"],
    [{ kind: "aborted" }, "none"],
    [response(200), "success"],
    [response(101), "success"],
    [response(304), "success"],
    [response(400), "neutral"],
    [response(404), "neutral"],
    [response(429), "overload"],
    [response(429, { hasRetryAfter: true }), "overload"],
    [response(499), "neutral"],
    [response(500), "failure"],
    [response(501), "neutral"],
    [response(502), "failure"],
    [response(503), "failure"],
    [response(503, { hasRetryAfter: true }), "overload"],
    [response(504), "failure"],
    [response(505), "neutral"],
    [response(200, { durationMs: 5_000 }), "success"],
    [response(200, { durationMs: 5_001 }), "slow"],
    [response(500, { durationMs: 5_001 }), "failure"],
    [response(200, { durationMs: 10_000 }), "slow"],
    [response(200, { durationMs: 10_001 }), "failure"],
    [response(404, { durationMs: 10_001 }), "failure"],
    [response(429, { durationMs: 10_001 }), "failure"],
  ])("%o: %s", (end, outcome) => {
    expect(classify(end, POLICY)).toBe(outcome);
  });

  it("is as configured where failures are", () => {
    const policy = { ...POLICY, failureStatuses: [502, 599] };
    const outcomes = [500, 502, 503, 599].map((status) => classify(response(status), policy));
    expect(outcomes).toEqual(["neutral", "failure", "neutral", "failure"]);
  });
});

const FAILURE = { ok: 0, failed: 1, slow: 0 };

describe("a window of outcomes", () => {
  it("counts nothing old after one idle window, however many outcomes there were", () => {
    let window = emptyWindow(10_000);
    for (let at = 0; at < 10_000; at += 100) window = addOutcomes(window, FAILURE, START + at);
    expect(countOutcomes(window, START + 9_900).failed).toBe(100);
    expect(countOutcomes(window, START + 19_999)).toEqual({ ok: 0, failed: 0, slow: 0 });
    const after = addOutcomes(window, { ok: 1, failed: 0, slow: 0 }, START + 3_600_000);
    expect(countOutcomes(after, START + 3_600_000)).toEqual({ ok: 1, failed: 0, slow: 0 });
  });

  it("counts what is at most nine tenths of a window old, and nothing that is a window old", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ at: fc.integer({ min: 0, max: 30_000 }), failed: fc.integer({ min: 0, max: 9 }) }), {
          maxLength: 60,
        }),
        fc.integer({ min: 0, max: 40_000 }),
        (outcomes, until) => {
          const past = outcomes.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
          let window = emptyWindow(10_000);
          for (const { at, failed } of past) window = addOutcomes(window, { ...FAILURE, failed }, START + at);
          const sumSince = (age: number) =>
            past.filter(({ at }) => at > until - age).reduce((sum, { failed }) => sum + failed, 0);
          const { failed } = countOutcomes(window, START + until);
          expect(failed).toBeGreaterThanOrEqual(sumSince(9_000));
          expect(failed).toBeLessThanOrEqual(sumSince(10_000));
          expect(window.parts.length).toBeLessThanOrEqual(10);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it("adds to the newest part when the clock steps back a little, and starts anew when it does by more than a window", () => {
    const first = addOutcomes(emptyWindow(10_000), FAILURE, START);
    expect(countOutcomes(addOutcomes(first, FAILURE, START - 3_000), START)).toEqual({ ok: 0, failed: 2, slow: 0 });
    const far = addOutcomes(first, FAILURE, START - 3_600_000);
    expect(countOutcomes(far, START - 3_600_000)).toEqual(FAILURE);
  });
});

describe("the newest outcomes of an isolate", () => {
  /** An isolate that made a call every so many ms until `START`, `failures` of the last ones failed. */
  function called(everyMs: number, calls: number, failures: number): RecentOutcomes {
    const recent = noOutcomes();
    for (let left = calls - 1; left >= 0; left--) addOutcome(recent, left < failures, START - left * everyMs);
    return recent;
  }

  it.each([
    ["the last 30 of 100 a second", called(10, 200, 15), { share: 0.5, calls: 30 }],
    ["the last 300 ms of 25 a second, but ten at least", called(40, 200, 5), { share: 0.5, calls: 10 }],
    ["the last ten of one a second", called(900, 200, 9), { share: 0.9, calls: 10 }],
    ["nothing of fewer than ten", called(10, 9, 9), undefined],
    ["nothing of ten of which one is too old", called(1_120, 10, 9), undefined],
  ])("say %s", (_what, recent, share) => {
    expect(failedShare(recent, 10, 10_000, START)).toEqual(share);
  });

  it("are forgotten after an idle window", () => {
    expect(failedShare(called(10, 200, 200), 5, 10_000, START + 10_000)).toBeUndefined();
  });
});
