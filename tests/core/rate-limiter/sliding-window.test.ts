import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SlidingLimit, SlidingWindow } from "../../../objects/rate-limiter/algorithms/sliding-window.ts";
import {
  advance,
  changeLimit,
  emptyAt,
  emptyWindow,
  fullWindow,
  giveBack,
  remaining,
  take,
} from "../../../objects/rate-limiter/algorithms/sliding-window.ts";
import { total } from "../../../objects/rate-limiter/algorithms/sub-buckets.ts";
import { RUNS, START } from "./arbitraries.ts";

const anyLimit: fc.Arbitrary<SlidingLimit> = fc.record(
  {
    tokensPerWindow: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 1_000 })),
    windowMs: fc.oneof(fc.integer({ min: 1, max: 90 }), fc.constantFrom(997, 1_000, 60_000, 2_592_000_000)),
    subBuckets: fc.integer({ min: 1, max: 80 }),
  },
  { requiredKeys: ["tokensPerWindow", "windowMs"] },
);

interface Step {
  readonly gap: number;
  readonly cost: number;
}

/** Gaps in proportion to the window, which decide something, among tiny ones. */
function anySteps({ windowMs, tokensPerWindow }: SlidingLimit): fc.Arbitrary<Step[]> {
  const gap = fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: Math.ceil(windowMs / 20) }), fc.nat({ max: windowMs + 2 }));
  const cost = fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: tokensPerWindow + 1 }));
  return fc.array(fc.record({ gap, cost }), { minLength: 1, maxLength: 40 });
}

const anyHistory = anyLimit.chain((limit) => fc.record({ limit: fc.constant(limit), steps: anySteps(limit) }));

interface Passed {
  readonly at: number;
  readonly cost: number;
}

/** The true sum in [end - length, end]. */
function within(log: readonly Passed[], end: number, length: number): number {
  return log.reduce((sum, { at, cost }) => (at <= end && at >= end - length ? sum + cost : sum), 0);
}

/** The largest true sum in any window of `length`, both ends included. */
function fullest(log: readonly Passed[], length: number): number {
  return log.reduce((most, { at }) => Math.max(most, within(log, at, length)), 0);
}

function partMs({ windowMs, subBuckets = 60 }: SlidingLimit): number {
  return Math.ceil(windowMs / Math.min(subBuckets, windowMs));
}

describe("against the exact log of admissions", () => {
  it("never admits more than the limit in any window, its ends included", () => {
    fc.assert(
      fc.property(anyHistory, ({ limit, steps }) => {
        const log: Passed[] = [];
        let window = emptyWindow(START);
        let now = START;
        for (const { gap, cost } of steps) {
          now += gap;
          const decision = take(window, limit, cost, now);
          window = decision.window;
          if (decision.allowed) log.push({ at: now, cost });
        }
        expect(fullest(log, limit.windowMs)).toBeLessThanOrEqual(limit.tokensPerWindow);
      }),
      RUNS,
    );
  });

  it("refuses only what would be too much in a window that is 1/n longer", () => {
    fc.assert(
      fc.property(anyHistory, ({ limit, steps }) => {
        const log: Passed[] = [];
        let window = emptyWindow(START);
        let now = START;
        for (const { gap, cost } of steps) {
          now += gap;
          const decision = take(window, limit, cost, now);
          window = decision.window;
          if (decision.allowed) log.push({ at: now, cost });
          if (decision.allowed) continue;
          const longer = limit.windowMs + partMs(limit) - 1;
          expect(within(log, now, longer) + cost).toBeGreaterThan(limit.tokensPerWindow);
        }
      }),
      RUNS,
    );
  });

  it("tells the shortest wait: it passes then and not a millisecond earlier", () => {
    fc.assert(
      fc.property(anyHistory, ({ limit, steps }) => {
        let window = emptyWindow(START);
        let now = START;
        for (const { gap, cost } of steps) {
          now += gap;
          const decision = take(window, limit, cost, now);
          window = decision.window;
          expect(decision.retryAfterMs === null).toBe(cost > limit.tokensPerWindow);
          if (decision.allowed) expect(decision.retryAfterMs).toBe(0);
          if (decision.allowed || decision.retryAfterMs === null) continue;
          expect(take(window, limit, cost, now + decision.retryAfterMs).allowed).toBe(true);
          expect(take(window, limit, cost, now + decision.retryAfterMs - 1).allowed).toBe(false);
        }
      }),
      RUNS,
    );
  });

  it("holds while the clock steps back and forth, in the time that really passed", () => {
    const step = fc.record({
      gap: fc.nat({ max: 400 }),
      cost: fc.nat({ max: 3 }),
      // Only backwards: a clock that leaps ahead forgets what was used, as a bucket refills.
      back: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 12_000 })),
    });
    const limit = fc.record({
      tokensPerWindow: fc.integer({ min: 1, max: 9 }),
      windowMs: fc.constantFrom(50, 997, 8_000),
      subBuckets: fc.constantFrom(1, 7, 60),
    });
    fc.assert(
      fc.property(limit, fc.array(step, { minLength: 1, maxLength: 60 }), (limit, steps) => {
        const log: Passed[] = [];
        let window = emptyWindow(START);
        let [now, clock] = [START, START];
        for (const { gap, cost, back } of steps) {
          now += gap;
          clock += gap - back;
          const decision = take(window, limit, cost, clock);
          window = decision.window;
          if (decision.allowed) log.push({ at: now, cost });
        }
        expect(fullest(log, limit.windowMs)).toBeLessThanOrEqual(limit.tokensPerWindow);
      }),
      RUNS,
    );
  });

  it("leases no more than the limit, whenever before their ends the tokens are spent", () => {
    const lease = fc.record({
      gap: fc.nat({ max: 600 }),
      cost: fc.nat({ max: 5 }),
      ttl: fc.nat({ max: 500 }),
      spent: fc.array(fc.nat({ max: 1_000 }), { maxLength: 5 }),
      returns: fc.boolean(),
    });
    const limit = fc.record({ tokensPerWindow: fc.integer({ min: 1, max: 15 }), windowMs: fc.constantFrom(50, 997) });
    fc.assert(
      fc.property(limit, fc.array(lease, { minLength: 1, maxLength: 40 }), (limit, leases) => {
        const log: Passed[] = [];
        let window = emptyWindow(START);
        let now = START;
        for (const { gap, cost, ttl, spent, returns } of leases) {
          now += gap;
          const until = now + ttl;
          const decision = take(window, limit, cost, now, until);
          window = decision.window;
          if (!decision.allowed) continue;
          // Returned at once or kept to the end; what is spent is spent at any time until then.
          const used = spent.slice(0, cost);
          for (const permille of used) log.push({ at: now + Math.floor((ttl * permille) / 1_000), cost: 1 });
          if (returns) window = giveBack(window, limit, cost - used.length, { until, now });
        }
        expect(fullest(log, limit.windowMs)).toBeLessThanOrEqual(limit.tokensPerWindow);
      }),
      RUNS,
    );
  });
});

describe("a change of limit", () => {
  const change = fc.record({ to: anyLimit, gap: fc.nat({ max: 100 }), cost: fc.nat({ max: 12 }) });

  it("never leaves more than there was, or what was used stays used", () => {
    fc.assert(
      fc.property(anyLimit, fc.array(change, { minLength: 1, maxLength: 12 }), (first, changes) => {
        let limit = first;
        let window = emptyWindow(START);
        let now = START;
        for (const { to, gap, cost } of changes) {
          now += gap;
          window = take(window, limit, cost, now).window;
          const changed = changeLimit(window, limit, to, now);
          const before = advance(window, limit, now);
          if (limit.windowMs === to.windowMs && limit.subBuckets === to.subBuckets) {
            expect(total(changed.buckets)).toBe(total(before.buckets));
          }
          if (limit.windowMs !== to.windowMs) {
            expect(remaining(changed, to)).toBeLessThanOrEqual(remaining(before, limit));
          }
          [window, limit] = [changed, to];
        }
      }),
      RUNS,
    );
  });

  it("of its length never opens a window on what was just spent", () => {
    const lengths = fc.record({
      windowMs: fc.integer({ min: 5, max: 400 }),
      subBuckets: fc.integer({ min: 1, max: 60 }),
    });
    const step = fc.record({ which: fc.nat({ max: 2 }), gap: fc.nat({ max: 60 }), cost: fc.nat({ max: 3 }) });
    const plan = fc.record({
      tokensPerWindow: fc.integer({ min: 1, max: 9 }),
      lengths: fc.array(lengths, { minLength: 3, maxLength: 3 }),
      steps: fc.array(step, { minLength: 1, maxLength: 60 }),
    });
    fc.assert(
      fc.property(plan, ({ tokensPerWindow, lengths, steps }) => {
        const limits = lengths.map((length): SlidingLimit => ({ tokensPerWindow, ...length }));
        const [first = { tokensPerWindow, windowMs: 1 }] = limits;
        const log: Passed[] = [];
        let limit = first;
        let window = emptyWindow(START);
        let now = START;
        for (const { which, gap, cost } of steps) {
          now += gap;
          const to = limits[which] ?? first;
          window = changeLimit(window, limit, to, now);
          limit = to;
          const decision = take(window, limit, cost, now);
          window = decision.window;
          if (decision.allowed) log.push({ at: now, cost });
        }
        // One number of tokens, lengths that change: the shortest of them always holds.
        const shortest = Math.min(...limits.map(({ windowMs }) => windowMs));
        expect(fullest(log, shortest)).toBeLessThanOrEqual(tokensPerWindow);
      }),
      RUNS,
    );
  });

  it("raised and lowered again with the same length is as if it had not been", () => {
    const from = { tokensPerWindow: 10, windowMs: 1_000 };
    const used = take(emptyWindow(START), from, 8, START).window;
    const raised = changeLimit(used, from, { ...from, tokensPerWindow: 20 }, START);
    expect(remaining(raised, { ...from, tokensPerWindow: 20 })).toBe(12);
    expect(changeLimit(raised, { ...from, tokensPerWindow: 20 }, from, START)).toEqual(used);
    expect(take(used, { ...from, tokensPerWindow: 5 }, 1, START)).toEqual({
      allowed: false,
      window: used,
      retryAfterMs: 1_017,
    });
  });

  it("to a longer window keeps what was left and lets the rest come back at the new rate", () => {
    const from = { tokensPerWindow: 10, windowMs: 1_000 };
    const to = { tokensPerWindow: 600, windowMs: 60_000 };
    const used = take(emptyWindow(START), from, 4, START).window;
    const changed = changeLimit(used, from, to, START);
    expect(remaining(changed, to)).toBe(6);
    expect(remaining(advance(changed, to, START + 30_000), to)).toBe(267);
    expect(remaining(advance(changed, to, START + 61_000), to)).toBe(600);
  });

  it("keeps a lease counted until it ends, however short the new window is", () => {
    const from = { tokensPerWindow: 10, windowMs: 3_600_000 };
    const to = { tokensPerWindow: 10, windowMs: 100 };
    const leased = take(emptyWindow(START), from, 10, START, START + 5_000).window;
    const changed = changeLimit(leased, from, to, START);
    expect(take(changed, to, 1, START + 5_100).allowed).toBe(false);
    expect(take(changed, to, 1, START + 5_102).allowed).toBe(true);
  });
});

describe("known histories", () => {
  const limit = { tokensPerWindow: 10, windowMs: 60_000 };

  it("refuses the 11th in a minute and says when the first ten have left", () => {
    const used = take(emptyWindow(START), limit, 10, START);
    expect(used).toEqual({
      allowed: true,
      window: { buckets: [{ index: START / 1_000, count: 10 }], last: START, spendableUntil: START },
      retryAfterMs: 0,
    });
    expect(take(used.window, limit, 1, START + 500)).toMatchObject({ allowed: false, retryAfterMs: 60_500 });
    expect(take(used.window, limit, 1, START + 61_000)).toMatchObject({ allowed: true, retryAfterMs: 0 });
    expect(take(used.window, limit, 11, START).retryAfterMs).toBeNull();
    expect(take(used.window, limit, 0, START).allowed).toBe(true);
    expect(take(used.window, { ...limit, tokensPerWindow: 5 }, 0, START).allowed).toBe(true);
    // While a step back is waited out the wait is told from the later time, as a bucket does.
    expect(take(used.window, limit, 1, START - 3_000).retryAfterMs).toBe(61_000);
  });

  it("forgets everything at the time it said", () => {
    const used = take(emptyWindow(START), limit, 3, START + 7).window;
    const at = emptyAt(used, limit);
    expect(at).toBe(START + 61_000);
    expect(advance(used, limit, at - 1).buckets).toHaveLength(1);
    expect(advance(used, limit, at)).toEqual(emptyWindow(at));
    expect(emptyAt(emptyWindow(START), limit)).toBe(START);
  });

  it("waits out a step back of 5 s and believes a longer one, each count keeping its age", () => {
    const used = take(emptyWindow(START), limit, 4, START + 10_000).window;
    expect(advance(used, limit, START + 5_000)).toBe(used);
    expect(advance(used, limit, START + 4_999)).toEqual({
      buckets: [{ index: START / 1_000 + 5, count: 4 }],
      last: START + 4_999,
      spendableUntil: START + 4_999,
    });
  });

  it("starts a lost window used up, and open again after a window", () => {
    const lost = fullWindow(limit, START);
    expect(take(lost, limit, 1, START + 60_999).allowed).toBe(false);
    expect(take(lost, limit, 10, START + 61_000).allowed).toBe(true);
  });

  it("is the same window after JSON", () => {
    const used: SlidingWindow = take(take(emptyWindow(START), limit, 3, START).window, limit, 4, START + 9_000).window;
    expect(JSON.parse(JSON.stringify(used))).toEqual(used);
    expect(JSON.stringify(used).length).toBeLessThan(150);
  });
});
