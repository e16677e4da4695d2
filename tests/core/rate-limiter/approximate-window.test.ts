import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type {
  ApproximateLimit,
  ApproximateWindow,
} from "../../../objects/rate-limiter/algorithms/approximate-window.ts";
import {
  advance,
  changeLimit,
  emptyAt,
  emptyWindow,
  fullWindow,
  giveBack,
  isApproximateExact,
  remaining,
  take,
} from "../../../objects/rate-limiter/algorithms/approximate-window.ts";
import { RUNS, START } from "./arbitraries.ts";

const anyLimit: fc.Arbitrary<ApproximateLimit> = fc
  .record({
    tokensPerWindow: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 2 ** 53 })),
    windowMs: fc.oneof(fc.integer({ min: 1, max: 90 }), fc.constantFrom(997, 60_000, 2_592_000_000)),
  })
  .map(({ tokensPerWindow, windowMs }) => {
    return { windowMs, tokensPerWindow: Math.min(tokensPerWindow, Math.floor(2 ** 53 / windowMs)) };
  });

const anyHistory = anyLimit.chain((limit) => {
  const { windowMs, tokensPerWindow } = limit;
  const gap = fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: Math.ceil(windowMs / 3) }), fc.nat({ max: 2 * windowMs + 2 }));
  const cost = fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: tokensPerWindow + 1 }));
  const steps = fc.array(fc.record({ gap, cost }), { minLength: 1, maxLength: 30 });
  return fc.record({ limit: fc.constant(limit), steps });
});

/** The estimate in exact rationals, from the log of admissions alone. */
function allows(log: readonly { at: number; cost: number }[], limit: ApproximateLimit, cost: number, now: number) {
  const width = BigInt(limit.windowMs);
  const index = BigInt(now) / width;
  let [current, previous] = [0n, 0n];
  for (const one of log) {
    if (BigInt(one.at) / width === index) current += BigInt(one.cost);
    if (BigInt(one.at) / width === index - 1n) previous += BigInt(one.cost);
  }
  const elapsed = BigInt(now) - index * width;
  return previous * (width - elapsed) + (current + BigInt(cost)) * width <= BigInt(limit.tokensPerWindow) * width;
}

/** The largest true sum in any trailing window (end - W, end]. */
function fullest(log: readonly { at: number; cost: number }[], length: number): bigint {
  let most = 0n;
  for (const { at: end } of log) {
    let sum = 0n;
    for (const { at, cost } of log) if (at <= end && at > end - length) sum += BigInt(cost);
    if (sum > most) most = sum;
  }
  return most;
}

describe("the two-counter estimate", () => {
  it("decides as exact rationals do, tells the shortest wait, and what remains is what would pass", () => {
    fc.assert(
      fc.property(anyHistory, ({ limit, steps }) => {
        const log: { at: number; cost: number }[] = [];
        let window = emptyWindow(limit, START);
        let now = START;
        for (const { gap, cost } of steps) {
          now += gap;
          const { allowed, window: after, retryAfterMs } = take(window, limit, cost, now);
          window = after;
          expect(allowed).toBe(allows(log, limit, cost, now));
          if (allowed) log.push({ at: now, cost });
          const left = remaining(window, limit);
          expect(take(window, limit, left, now).allowed).toBe(true);
          expect(take(window, limit, left + 1, now).allowed).toBe(false);
          expect(retryAfterMs === null).toBe(cost > limit.tokensPerWindow);
          if (allowed) expect(retryAfterMs).toBe(0);
          if (allowed || retryAfterMs === null) continue;
          expect(take(window, limit, cost, now + retryAfterMs).allowed).toBe(true);
          expect(take(window, limit, cost, now + retryAfterMs - 1).allowed).toBe(false);
        }
      }),
      RUNS,
    );
  });

  it("never admits more than twice the limit in any window", () => {
    fc.assert(
      fc.property(anyHistory, ({ limit, steps }) => {
        const log: { at: number; cost: number }[] = [];
        let window = emptyWindow(limit, START);
        let now = START;
        for (const { gap, cost } of steps) {
          now += gap;
          const decision = take(window, limit, cost, now);
          window = decision.window;
          if (decision.allowed) log.push({ at: now, cost });
        }
        expect(fullest(log, limit.windowMs)).toBeLessThanOrEqual(2n * BigInt(limit.tokensPerWindow));
      }),
      RUNS,
    );
  });

  it("admits 1,999 in one window of a limit of 1,000 to who bursts at its boundaries", () => {
    const limit = { tokensPerWindow: 1_000, windowMs: 60_000 };
    const boundary = START - (START % 60_000);
    const burst = take(emptyWindow(limit, START), limit, 1_000, boundary + 59_999);
    expect(burst.allowed).toBe(true);
    const end = boundary + 60_000 + 59_998;
    expect(take(burst.window, limit, 999, end)).toMatchObject({ allowed: true, retryAfterMs: 0 });
    expect(take(burst.window, limit, 1_000, end)).toMatchObject({ allowed: false, retryAfterMs: 2 });
    expect(
      fullest(
        [
          { at: boundary + 59_999, cost: 1_000 },
          { at: end, cost: 999 },
        ],
        60_000,
      ),
    ).toBe(1_999n);
  });

  it("does not round the weighted part down", () => {
    // 9 before, half a window ago: 4.5 of them count, so 5 of 10 more would make 9.5 and 6 would make 10.5.
    const limit = { tokensPerWindow: 10, windowMs: 1_000 };
    const used = take(emptyWindow(limit, START), limit, 9, START).window;
    expect(take(used, limit, 5, START + 1_500).allowed).toBe(true);
    expect(take(used, limit, 6, START + 1_500)).toMatchObject({ allowed: false, retryAfterMs: 56 });
  });
});

describe("its clock and its limit", () => {
  const limit = { tokensPerWindow: 10, windowMs: 1_000 };

  it("goes on with what it has left, and no more, on whatever clock", () => {
    const step = fc.record({ step: fc.integer({ min: -12_000, max: 0 }), cost: fc.nat({ max: 3 }) });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) => {
        let window: ApproximateWindow = { ...emptyWindow(limit, START + 500), previous: 7 };
        let left = remaining(window, limit);
        let now = START + 500;
        for (const { step, cost } of steps) {
          now += step;
          const decision = take(window, limit, cost, now);
          window = decision.window;
          expect(remaining(window, limit)).toBe(left - (decision.allowed ? cost : 0));
          left = remaining(window, limit);
        }
      }),
      RUNS,
    );
  });

  it("waits out a step back of 5 s and believes a longer one", () => {
    const used = take(emptyWindow(limit, START), limit, 4, START).window;
    expect(advance(used, limit, START - 5_000)).toBe(used);
    expect(advance(used, limit, START - 5_001)).toEqual({
      index: START / 1_000 - 6,
      current: 4,
      previous: 0,
      last: START - 5_001,
    });
  });

  it("never leaves more after a change than before, or what was used stays used", () => {
    fc.assert(
      fc.property(anyHistory, anyLimit, ({ limit, steps }, to) => {
        let window = emptyWindow(limit, START);
        let now = START;
        for (const { gap, cost } of steps) {
          now += gap;
          window = take(window, limit, cost, now).window;
        }
        const changed = changeLimit(window, limit, to, now);
        if (limit.windowMs === to.windowMs) expect(changed).toEqual(window);
        if (limit.windowMs !== to.windowMs) {
          expect(remaining(changed, to)).toBe(Math.min(to.tokensPerWindow, remaining(window, limit)));
        }
        expect(JSON.parse(JSON.stringify(changed))).toEqual(changed);
      }),
      RUNS,
    );
  });

  it("gives back to its own window only", () => {
    const used = take(emptyWindow(limit, START), limit, 4, START).window;
    expect(giveBack(used, START / 1_000, 3).current).toBe(1);
    expect(giveBack(used, START / 1_000, 9).current).toBe(0);
    expect(giveBack(used, START / 1_000 - 1, 3)).toBe(used);
  });

  it("forgets everything two windows after the last use", () => {
    const used = take(emptyWindow(limit, START), limit, 4, START + 7).window;
    expect(emptyAt(used, limit)).toBe(START + 2_000);
    expect(emptyAt(advance(used, limit, START + 1_500), limit)).toBe(START + 2_000);
    expect(emptyAt(advance(used, limit, START + 2_000), limit)).toBe(START + 2_000);
    expect(advance(used, limit, START + 9_999)).toEqual(emptyWindow(limit, START + 9_999));
  });

  it("lets a look pass while a lowered limit is exceeded", () => {
    const used = take(emptyWindow(limit, START), limit, 9, START).window;
    const lowered = { ...limit, tokensPerWindow: 3 };
    expect(take(used, lowered, 0, START)).toEqual({ allowed: true, window: used, retryAfterMs: 0 });
    expect(remaining(used, lowered)).toBe(0);
    expect(take(used, lowered, 3, START)).toMatchObject({ allowed: false, retryAfterMs: 2_000 });
  });

  it("starts a lost window used up", () => {
    expect(take(fullWindow(limit, START), limit, 1, START)).toMatchObject({ allowed: false, retryAfterMs: 1_100 });
  });

  it.each([
    { tokensPerWindow: 2 ** 53, windowMs: 1, exact: true },
    { tokensPerWindow: 2 ** 43, windowMs: 1_024, exact: true },
    { tokensPerWindow: 2 ** 43 + 1, windowMs: 1_024, exact: false },
  ])("$tokensPerWindow in $windowMs ms is counted exactly: $exact", ({ exact, ...limit }) => {
    expect(isApproximateExact(limit)).toBe(exact);
  });
});
