import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { reserve, settle } from "../../../objects/rate-limiter/algorithms/reservation.ts";
import type { Bucket, BucketLimit } from "../../../objects/rate-limiter/algorithms/token-bucket.ts";
import {
  advance,
  fullBucket,
  giveBack,
  isExact,
  largestDebt,
  take,
} from "../../../objects/rate-limiter/algorithms/token-bucket.ts";
import { RUNS, START, anyGap, anyLimit } from "./arbitraries.ts";

const LIMIT: BucketLimit = { tokensPerWindow: 10, windowMs: 1_000, burst: 10 };

interface Step {
  readonly gap: number;
  /** Reserve this many tokens, or settle the oldest reservation at this cost. */
  readonly kind: "reserve" | "settle";
  readonly cost: number;
}

const anyHistory = anyLimit.chain((limit) => {
  const cost = fc.oneof(
    fc.nat({ max: 4 }),
    fc.nat({ max: limit.burst }),
    fc.nat({ max: Math.min(Number.MAX_SAFE_INTEGER, limit.burst * 2) }),
  );
  const step = fc.record({ gap: anyGap, kind: fc.constantFrom("reserve" as const, "settle" as const), cost });
  return fc.record({
    limit: fc.constant(limit),
    debtMax: fc.option(fc.nat({ max: limit.burst }), { nil: undefined }),
    steps: fc.array(step, { minLength: 1, maxLength: 40 }),
  });
});

interface Charge {
  readonly at: number;
  readonly cost: number;
}

/** Runs a history, checks V against a bucket in exact rationals, and returns what was charged. */
function run({ limit, debtMax, steps }: { limit: BucketLimit; debtMax: number | undefined; steps: Step[] }): Charge[] {
  const [perToken, perMs] = [BigInt(limit.windowMs), BigInt(limit.tokensPerWindow)];
  const full = BigInt(limit.burst) * perToken;
  const floor = -BigInt(largestDebt(limit, debtMax ?? limit.burst));
  let value = full;
  let bucket = fullBucket(limit, START);
  let now = START;
  const open: number[] = [];
  const charged: Charge[] = [];
  for (const { gap, kind, cost } of steps) {
    now += gap;
    const refilled = value + BigInt(gap) * perMs;
    value = refilled < full ? refilled : full;
    if (kind === "reserve") {
      const held = BigInt(open.reduce((sum, one) => sum + one, 0));
      const decision = reserve(bucket, limit, cost, now);
      bucket = decision.bucket;
      expect(decision.allowed).toBe(value - held * perToken >= BigInt(cost) * perToken && cost <= limit.burst);
      if (decision.allowed) open.push(cost);
    }
    const reserved = kind === "settle" ? open.shift() : undefined;
    if (reserved !== undefined) {
      const settlement = debtMax === undefined ? { reserved, actual: cost } : { reserved, actual: cost, debtMax };
      const settled = settle(bucket, limit, settlement, now);
      bucket = settled.bucket;
      charged.push({ at: now, cost: cost - settled.forgiven });
      value -= BigInt(cost - settled.forgiven) * perToken;
      // Forgiven is only what would lie below the largest debt.
      if (settled.forgiven > 0) expect(BigInt(bucket.tokens)).toBe(floor);
      expect(settled.forgiven).toBeGreaterThanOrEqual(0);
    }
    bucket = advance(bucket, limit, now);
    expect(BigInt(bucket.tokens + bucket.outstanding) * perToken + BigInt(bucket.rem)).toBe(value);
    expect(bucket.outstanding).toBe(open.reduce((sum, one) => sum + one, 0));
    expect(BigInt(bucket.tokens)).toBeGreaterThanOrEqual(floor);
  }
  return charged;
}

describe("reserve, then settle", () => {
  it("charges what it cost, to the token and the fraction, whatever was reserved", () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        run(history);
      }),
      RUNS,
    );
  });

  it("never charges more than burst + debt + rate * t in any interval", () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        const charged = run(history);
        const { limit, debtMax } = history;
        const window = BigInt(limit.windowMs);
        const most = (BigInt(limit.burst) + BigInt(largestDebt(limit, debtMax ?? limit.burst))) * window;
        for (const [first, { at: from }] of charged.entries()) {
          let sum = 0n;
          for (const { at, cost } of charged.slice(first)) {
            sum += BigInt(cost);
            expect(sum * window <= most + BigInt(limit.tokensPerWindow) * BigInt(at - from)).toBe(true);
          }
        }
      }),
      RUNS,
    );
  });

  it("reaches that bound: a full bucket, and a debt as large, in one instant", () => {
    const first = reserve(fullBucket(LIMIT, START), LIMIT, 10, START);
    const settled = settle(first.bucket, LIMIT, { reserved: 10, actual: 20 }, START);
    expect(settled).toEqual({ bucket: { tokens: -10, rem: 0, last: START, outstanding: 0 }, forgiven: 0 });
    // Nothing passes until the debt is earned back: 10 tokens at 100 ms each, and one more.
    expect(reserve(settled.bucket, LIMIT, 1, START)).toMatchObject({ allowed: false, retryAfterMs: 1_100 });
    expect(reserve(settled.bucket, LIMIT, 1, START + 1_100).allowed).toBe(true);
    // Not even what is estimated at nothing, else debtors would live on estimates.
    expect(reserve(settled.bucket, LIMIT, 0, START + 999)).toMatchObject({ allowed: false, retryAfterMs: 1 });
    expect(reserve(settled.bucket, LIMIT, 0, START + 1_000).allowed).toBe(true);
  });

  it("forgives what goes beyond the largest debt, and says how much", () => {
    const first = reserve(fullBucket(LIMIT, START), LIMIT, 4, START);
    expect(settle(first.bucket, LIMIT, { reserved: 4, actual: 25, debtMax: 3 }, START)).toEqual({
      bucket: { tokens: -3, rem: 0, last: START, outstanding: 0 },
      forgiven: 12,
    });
  });

  it("leaves a debt that was made when more was allowed", () => {
    const indebted: Bucket = { tokens: -8, rem: 0, last: START, outstanding: 4 };
    expect(settle(indebted, LIMIT, { reserved: 4, actual: 5, debtMax: 3 }, START)).toEqual({
      bucket: { ...indebted, outstanding: 0 },
      forgiven: 1,
    });
    expect(settle(indebted, LIMIT, { reserved: 4, actual: 1, debtMax: 3 }, START).bucket.tokens).toBe(-5);
  });

  it("does not refill behind a reservation, so that it is not spent twice at one instant", () => {
    const held = reserve(fullBucket(LIMIT, START), LIMIT, 10, START).bucket;
    expect(reserve(held, LIMIT, 1, START + 5_000).allowed).toBe(false);
    const settled = settle(held, LIMIT, { reserved: 10, actual: 0 }, START + 5_000).bucket;
    expect(settled).toEqual(fullBucket(LIMIT, START + 5_000));
    // With a plain take and a return, 20 of 10 pass at one instant.
    const taken = take(fullBucket(LIMIT, START), LIMIT, 10, START).bucket;
    const again = take(taken, LIMIT, 10, START + 5_000);
    expect([again.allowed, giveBack(again.bucket, LIMIT, 10, START + 5_000).tokens]).toEqual([true, 10]);
  });

  it("holds no more than the ceiling when the burst was cut in between", () => {
    const held: Bucket = { tokens: 0, rem: 7, last: START, outstanding: 10 };
    const cut = { ...LIMIT, burst: 4 };
    expect(settle(held, cut, { reserved: 10, actual: 1 }, START).bucket).toEqual(fullBucket(cut, START));
    expect(settle(held, cut, { reserved: 12, actual: 12 }, START).bucket.outstanding).toBe(0);
  });

  it("cuts a debt to what can be counted exactly", () => {
    const largest = { tokensPerWindow: 1, windowMs: 1_000, burst: Math.floor(2 ** 53 / 1_000) };
    expect(largestDebt(largest, largest.burst)).toBe(0);
    expect(largestDebt(LIMIT, 10)).toBe(10);
    fc.assert(
      fc.property(anyLimit, (limit) => {
        expect(isExact(limit.burst + largestDebt(limit, limit.burst), limit.windowMs)).toBe(true);
      }),
      RUNS,
    );
  });
});
