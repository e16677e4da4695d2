import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoff, DEFAULT_BACKOFF } from "../../../worker/retry/backoff.ts";
import {
  mayRetry,
  type RefusedRetry,
  type RetryDecision,
  type RetryPolicy,
  type Try,
} from "../../../worker/retry/may-retry.ts";
import { retryAfterMs } from "../../../worker/retry/retry-after.ts";
import { newRetryBudget, noteRequest, takeRetry } from "../../../worker/retry/retry-budget.ts";

const POLICY: RetryPolicy = {
  maxRetries: 2,
  statuses: [502, 503, 504],
  backoff: DEFAULT_BACKOFF,
  overallMs: 30_000,
};

/** A GET without a body that met a 503. */
function tried(changes: Partial<Try> = {}): Try {
  return {
    method: "GET",
    hasIdempotencyKey: false,
    isReplayable: true,
    retries: 0,
    failure: { kind: "status", status: 503 },
    askedMs: 0,
    elapsedMs: 100,
    ...changes,
  };
}

const RETRY: RetryDecision = { kind: "retry", afterMs: 25 };
const stop = (why: RefusedRetry): RetryDecision => ({ kind: "stop", why });

describe("a request is tried again", () => {
  it.each<[string, Partial<Try>, RetryDecision]>([
    ["after a 503", {}, RETRY],
    ["after no answer", { failure: { kind: "unanswered" } }, RETRY],
    ["not after a 500, which another try would meet again", { failure: status(500) }, stop("status")],
    ["not after a 404", { failure: status(404) }, stop("status")],
    ["not as a POST", { method: "POST" }, stop("not-idempotent")],
    [
      "not as a POST that nothing answered",
      { method: "POST", failure: { kind: "unanswered" } },
      stop("not-idempotent"),
    ],
    ["not as a PATCH", { method: "PATCH" }, stop("not-idempotent")],
    ["not as a method that nobody knows", { method: "get" }, stop("not-idempotent")],
    ["as a POST with an Idempotency-Key", { method: "POST", hasIdempotencyKey: true }, RETRY],
    ["as a PUT whose body is kept", { method: "PUT" }, RETRY],
    ["not when its body is gone", { method: "PUT", isReplayable: false }, stop("not-replayable")],
    ["not a third time", { retries: 2 }, stop("exhausted")],
    ["after what the target asks for", { askedMs: 5_000 }, { kind: "retry", afterMs: 5_025 }],
    ["not sooner than the target asks for", { askedMs: 29_900 }, stop("too-late")],
    ["not when there is no time left", { elapsedMs: 29_975 }, stop("too-late")],
  ])("%s", (_title, changes, decision) => {
    expect(mayRetry(tried(changes), POLICY, 0.5)).toEqual(decision);
  });

  it("never where that is switched off", () => {
    expect(mayRetry(tried(), { ...POLICY, maxRetries: 0 }, 0.5)).toEqual(stop("no-retries"));
  });
});

function status(code: number): Try["failure"] {
  return { kind: "status", status: code };
}

describe("the wait before a retry", () => {
  it("is anything up to a bound that doubles to its maximum", () => {
    const bounds = [1, 2, 3, 4, 5, 6, 1_000].map((retry) => backoff(retry, 0.999_999));
    expect(bounds).toEqual([49, 99, 199, 399, 799, 999, 999]);
    expect(backoff(5, 0)).toBe(0);
  });
});

describe("Retry-After", () => {
  const NOW = Date.UTC(2026, 10, 22, 9, 0, 0);

  it.each<[string | null, number | undefined]>([
    ["0", 0],
    ["120", 120_000],
    [" 5 ", 5_000],
    ["99999999999999999999", Number.MAX_SAFE_INTEGER],
    ["Sun, 22 Nov 2026 09:00:30 GMT", 30_000],
    ["Sunday, 22-Nov-26 09:00:30 GMT", 30_000],
    ["Sun Nov 22 09:00:30 2026", 30_000],
    ["Tue Dec  1 09:00:00 2026", 777_600_000],
    ["Sun, 06 Nov 1994 08:49:37 GMT", 0],
    ["Sunday, 06-Nov-94 08:49:37 GMT", 0],
    ["Thu, 31 Dec 2026 23:59:60 GMT", Date.UTC(2027, 0, 1) - NOW],
    [null, undefined],
    ["", undefined],
    ["-5", undefined],
    ["1.5", undefined],
    ["soon", undefined],
    ["Sun, 22 Nov 2026 25:00:00 GMT", undefined],
    ["Sun, 22 Foo 2026 09:00:00 GMT", undefined],
    ["Sun, 22 ebM 2026 09:00:00 GMT", undefined],
    ["Sun, 22 Nov 2026 09:00:30 CET", undefined],
  ])("%j is %s", (value, expected) => {
    expect(retryAfterMs(value, NOW)).toBe(expected);
  });

  it("is read as the platform reads it, for any date", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (seconds) => {
        const text = new Date(seconds * 1_000).toUTCString();
        expect(retryAfterMs(text, 0)).toBe(seconds * 1_000);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("the retry budget", () => {
  const BUDGET = { ratio: 0.2, perSecond: 10 };
  const anyEvent = fc.record({ ms: fc.nat(300), requests: fc.nat(5), retries: fc.nat(5) });

  it("allows no more than a fifth of the requests and ten a second, over any run, but for the first retry", () => {
    let spent = 0;
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 200 }), (events) => {
        let budget = newRetryBudget(0);
        let [now, requests, retries] = [0, 0, 0];
        for (const event of events) {
          now += event.ms;
          for (let request = 0; request < event.requests; request++) budget = noteRequest(budget, BUDGET, now);
          requests += event.requests;
          for (let retry = 0; retry < event.retries; retry++) {
            const taken = takeRetry(budget, BUDGET, now);
            if (taken === undefined) continue;
            budget = taken;
            retries += 1;
          }
          expect(retries).toBeLessThanOrEqual(0.2 * requests + Math.max(1, (10 * now) / 1_000) + 1e-6);
        }
        spent += retries;
      }),
      { numRuns: 500 },
    );
    expect(spent).toBeGreaterThan(1_000);
  });

  it("lets an outage of every request have exactly a fifth more, and ten a second", () => {
    let budget = newRetryBudget(0);
    let retries = 0;
    for (let request = 1; request <= 10_000; request++) {
      budget = noteRequest(budget, BUDGET, request);
      const taken = takeRetry(budget, BUDGET, request);
      if (taken !== undefined) retries += 1;
      budget = taken ?? budget;
    }
    // Of the first second's share one is there at once, and the rest not at all.
    expect(retries).toBe(1 + 2_000 + 90);
  });

  it("does not save up an hour", () => {
    let budget = newRetryBudget(0);
    for (let request = 0; request < 100_000; request++) budget = noteRequest(budget, BUDGET, request * 36);
    expect(budget.tokens).toBe(201);
  });

  it("is not filled by a clock that steps back, nor empty for long after it", () => {
    const policy = { ratio: 0, perSecond: 1 };
    const empty = takeRetry(newRetryBudget(1_000_000), policy, 1_000_000);
    const back = noteRequest(empty ?? newRetryBudget(0), policy, 0);
    expect(back).toEqual({ tokens: 0, at: 0 });
    expect(takeRetry(back, policy, 1_000)).toEqual({ tokens: 0, at: 1_000 });
  });
});
