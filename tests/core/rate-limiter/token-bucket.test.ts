import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Bucket, BucketLimit } from "../../../objects/rate-limiter/algorithms/token-bucket.ts";
import {
  advance,
  changeLimit,
  emptyBucket,
  fullAt,
  fullBucket,
  giveBack,
  take,
} from "../../../objects/rate-limiter/algorithms/token-bucket.ts";
import { RUNS, START, anyCost, anyGap, anyLimit, anyStep, limitWith } from "./arbitraries.ts";
import { oracleBucket } from "./oracle.ts";

const YEAR_MS = 365 * 24 * 3_600_000;

type Said = [now: number, cost: number, verdict: "ok" | "wait" | "never", figure: number];

/** `figure` is what remains when the take passed, else the wait in ms. */
const vectors: { title: string; limit: BucketLimit; start: number; said: Said[] }[] = [
  {
    title: "10 a second, burst 10",
    limit: { tokensPerWindow: 10, windowMs: 1000, burst: 10 },
    start: 0,
    said: [
      [0, 10, "ok", 0],
      [0, 1, "wait", 100],
      [99, 1, "wait", 1],
      [100, 1, "ok", 0],
      [150, 1, "wait", 50],
      [1000, 1, "ok", 8],
      [5000, 10, "ok", 0],
      [5000, 1, "wait", 100],
    ],
  },
  {
    title: "3 a second, a rate that no whole millisecond divides",
    limit: { tokensPerWindow: 3, windowMs: 1000, burst: 3 },
    start: 0,
    said: [
      [0, 3, "ok", 0],
      [333, 1, "wait", 1],
      [334, 1, "ok", 0],
      [666, 1, "wait", 1],
      [667, 1, "ok", 0],
      [1000, 1, "ok", 0],
      [1001, 1, "wait", 333],
    ],
  },
  {
    title: "a clock that steps back",
    limit: { tokensPerWindow: 10, windowMs: 1000, burst: 10 },
    start: 1000,
    said: [
      [1000, 10, "ok", 0],
      [1200, 1, "ok", 1],
      [1100, 1, "ok", 0],
      [1100, 1, "wait", 100],
      [1200, 1, "wait", 100],
      [1300, 1, "ok", 0],
    ],
  },
  {
    title: "costs above 1, a cost that never fits, and a look",
    limit: { tokensPerWindow: 100, windowMs: 60_000, burst: 50 },
    start: 0,
    said: [
      [0, 30, "ok", 20],
      [0, 30, "wait", 6000],
      [6000, 30, "ok", 0],
      [6000, 51, "never", 0],
      [6001, 0, "ok", 0],
    ],
  },
  {
    title: "a million a second after a year of silence",
    limit: { tokensPerWindow: 1_000_000, windowMs: 1000, burst: 1_000_000 },
    start: 0,
    said: [
      [0, 1_000_000, "ok", 0],
      [YEAR_MS, 1_000_000, "ok", 0],
      [YEAR_MS, 1, "wait", 1],
    ],
  },
];

describe("known histories", () => {
  it.each(vectors)("$title", ({ limit, start, said }) => {
    let bucket = fullBucket(limit, start);
    const heard = said.map(([now, cost]): Said => {
      const decision = take(bucket, limit, cost, now);
      bucket = decision.bucket;
      if (decision.allowed) return [now, cost, "ok", bucket.tokens];
      return decision.retryAfterMs === null ? [now, cost, "never", 0] : [now, cost, "wait", decision.retryAfterMs];
    });
    expect(heard).toEqual(said);
  });

  it("refills no further than what is left beside a lease of 6", () => {
    const limit = { tokensPerWindow: 10, windowMs: 1000, burst: 10 };
    const leased: Bucket = { tokens: 4, rem: 0, last: 0, outstanding: 6 };
    expect(advance(leased, limit, 600)).toEqual({ tokens: 4, rem: 0, last: 600, outstanding: 6 });
    // The most that can be spent at once is the burst: 4 here and 6 on the lease. Without the ceiling it was 16.
    expect(take(leased, limit, 5, 600).allowed).toBe(false);
    expect(take(leased, limit, 4, 600).bucket).toEqual({ tokens: 0, rem: 0, last: 600, outstanding: 6 });
    // A grant that takes the ceiling down to the tokens leaves no fraction above it.
    expect(advance({ ...leased, rem: 300 }, limit, 600).rem).toBe(0);
  });

  it("goes on from the earlier time after a clock that was an hour ahead", () => {
    const limit = { tokensPerWindow: 1, windowMs: 1000, burst: 5 };
    const ahead: Bucket = { tokens: 0, rem: 250, last: START + 3_600_000, outstanding: 0 };
    const back = advance(ahead, limit, START);
    expect(back).toEqual({ tokens: 0, rem: 250, last: START, outstanding: 0 });
    expect(advance(back, limit, START + 750)).toEqual({ tokens: 1, rem: 0, last: START + 750, outstanding: 0 });
  });

  it.each([
    { title: "a step back of 5 s is waited out", back: 5_000, last: START },
    { title: "a step back of 5,001 ms is believed", back: 5_001, last: START - 5_001 },
  ])("$title", ({ back, last }) => {
    const limit = { tokensPerWindow: 1, windowMs: 1000, burst: 5 };
    const bucket: Bucket = { tokens: 2, rem: 0, last: START, outstanding: 0 };
    expect(advance(bucket, limit, START - back)).toEqual({ tokens: 2, rem: 0, last, outstanding: 0 });
  });

  it("keeps the tokens it has when a limit changes, cut to the new burst", () => {
    const from = { tokensPerWindow: 10, windowMs: 1000, burst: 10 };
    const bucket: Bucket = { tokens: 6, rem: 500, last: START, outstanding: 0 };
    expect(changeLimit(bucket, from, { ...from, burst: 4 }, START)).toEqual({
      tokens: 4,
      rem: 0,
      last: START,
      outstanding: 0,
    });
    expect(changeLimit(bucket, from, { ...from, burst: 40 }, START).tokens).toBe(6);
    // What was earned before the change was earned at the old rate.
    expect(changeLimit(bucket, from, { ...from, tokensPerWindow: 1 }, START + 250)).toEqual({
      tokens: 9,
      rem: 0,
      last: START + 250,
      outstanding: 0,
    });
    expect(changeLimit(bucket, from, { ...from, windowMs: 3_001 }, START)).toEqual({ ...bucket, rem: 1_500 });
    expect(changeLimit({ ...bucket, outstanding: 9, tokens: 1 }, from, { ...from, burst: 4 }, START).tokens).toBe(0);
  });

  it("gives back up to the ceiling and no further", () => {
    const limit = { tokensPerWindow: 10, windowMs: 1000, burst: 10 };
    const bucket: Bucket = { tokens: 6, rem: 500, last: START, outstanding: 2 };
    expect(giveBack(bucket, limit, 1, START)).toEqual({ tokens: 7, rem: 500, last: START, outstanding: 2 });
    expect(giveBack(bucket, limit, 2, START)).toEqual({ tokens: 8, rem: 0, last: START, outstanding: 2 });
    expect(giveBack(bucket, limit, 9, START)).toEqual({ tokens: 8, rem: 0, last: START, outstanding: 2 });
  });
});

describe("against an exact rational oracle", () => {
  const step = (limit: BucketLimit) => fc.record({ step: anyStep, cost: anyCost(limit) });

  it("decides, counts and tells the wait alike, on any clock", () => {
    fc.assert(
      fc.property(limitWith(step), ({ limit, events }) => {
        const oracle = oracleBucket(limit, START);
        let bucket = fullBucket(limit, START);
        let now = START;
        for (const event of events) {
          now += event.step;
          const { allowed, bucket: after, retryAfterMs } = take(bucket, limit, event.cost, now);
          bucket = after;
          expect({ allowed, remaining: bucket.tokens, retryAfterMs }).toEqual(oracle.take(event.cost, now));
          expect(BigInt(bucket.tokens) * BigInt(limit.windowMs) + BigInt(bucket.rem)).toBe(oracle.level(now));
        }
      }),
      RUNS,
    );
  });

  it("is full when it says it will be, and not a millisecond earlier", () => {
    fc.assert(
      fc.property(anyLimit, fc.nat(), fc.nat(), (limit, spent, part) => {
        const bucket: Bucket = {
          tokens: Math.max(0, limit.burst - 1 - spent),
          rem: part % limit.windowMs,
          // The largest bucket at the lowest rate takes 285,000 years; only from 0 on is that a safe integer.
          last: 0,
          outstanding: 0,
        };
        const at = fullAt(bucket, limit);
        expect(advance(bucket, limit, at).tokens).toBe(limit.burst);
        expect(advance(bucket, limit, at - 1).tokens).toBeLessThan(limit.burst);
      }),
      RUNS,
    );
  });
});

describe("invariants", () => {
  const event = (limit: BucketLimit) => fc.record({ gap: anyGap, cost: anyCost(limit) });

  it("never lets more than burst + rate * t through, in any interval, its ends included", () => {
    fc.assert(
      fc.property(limitWith(event), ({ limit, events }) => {
        const passed: { at: number; cost: number }[] = [];
        let bucket = fullBucket(limit, START);
        let now = START;
        for (const { gap, cost } of events) {
          now += gap;
          const decision = take(bucket, limit, cost, now);
          bucket = decision.bucket;
          if (decision.allowed) passed.push({ at: now, cost });
        }
        const [burst, window, rate] = [BigInt(limit.burst), BigInt(limit.windowMs), BigInt(limit.tokensPerWindow)];
        for (const [first, { at: from }] of passed.entries()) {
          let sum = 0n;
          for (const { at, cost } of passed.slice(first)) {
            sum += BigInt(cost);
            expect(sum * window <= burst * window + rate * BigInt(at - from)).toBe(true);
          }
        }
      }),
      RUNS,
    );
  });

  it("holds between nothing and its ceiling, whatever is on lease", () => {
    fc.assert(
      fc.property(limitWith(event), fc.nat(), ({ limit, events }, leased) => {
        const outstanding = leased % (limit.burst + 1);
        let bucket: Bucket = { tokens: limit.burst - outstanding, rem: 0, last: START, outstanding };
        let now = START;
        for (const { gap, cost } of events) {
          now += gap;
          const decision = take(bucket, limit, cost, now);
          bucket = cost % 2 === 0 ? decision.bucket : giveBack(decision.bucket, limit, cost, now);
          expect(bucket.tokens).toBeGreaterThanOrEqual(0);
          expect(bucket.tokens).toBeLessThanOrEqual(limit.burst - outstanding);
          expect(bucket.rem).toBeGreaterThanOrEqual(0);
          expect(bucket.rem).toBeLessThan(bucket.tokens === limit.burst - outstanding ? 1 : limit.windowMs);
        }
      }),
      RUNS,
    );
  });

  it("decides after refusals as if they had not been asked", () => {
    fc.assert(
      fc.property(limitWith(event), ({ limit, events }) => {
        let asked = fullBucket(limit, START);
        let spared = asked;
        let now = START;
        for (const { gap, cost } of events) {
          now += gap;
          const decision = take(asked, limit, cost, now);
          asked = decision.bucket;
          if (decision.allowed) spared = take(spared, limit, cost, now).bucket;
          expect(advance(spared, limit, now)).toEqual(asked);
        }
      }),
      RUNS,
    );
  });

  it("tells the shortest wait: it passes then and not a millisecond earlier", () => {
    fc.assert(
      fc.property(limitWith(event), ({ limit, events }) => {
        let bucket = fullBucket(limit, START);
        let now = START;
        for (const { gap, cost } of events) {
          now += gap;
          const decision = take(bucket, limit, cost, now);
          bucket = decision.bucket;
          if (decision.allowed || decision.retryAfterMs === null) continue;
          if (!Number.isSafeInteger(now + decision.retryAfterMs)) continue;
          expect(take(bucket, limit, cost, now + decision.retryAfterMs).allowed).toBe(true);
          expect(take(bucket, limit, cost, now + decision.retryAfterMs - 1).allowed).toBe(false);
        }
      }),
      RUNS,
    );
  });

  it("holds no less for waiting longer, and does not care how often it looked", () => {
    fc.assert(
      fc.property(anyLimit, fc.nat(), fc.nat(), anyGap, anyGap, (limit, held, part, first, second) => {
        const bucket: Bucket = {
          tokens: held % limit.burst,
          rem: part % limit.windowMs,
          last: START,
          outstanding: 0,
        };
        const once = advance(bucket, limit, START + first);
        const twice = advance(once, limit, START + first + second);
        expect(twice).toEqual(advance(bucket, limit, START + first + second));
        expect(twice.tokens).toBeGreaterThanOrEqual(once.tokens);
      }),
      RUNS,
    );
  });

  it("admits the same sum in any order of equal takes and looks at one instant", () => {
    fc.assert(
      fc.property(
        anyLimit,
        fc.integer({ min: 1, max: 20 }),
        fc
          .array(fc.boolean(), { maxLength: 30 })
          .chain((kinds) => fc.tuple(fc.constant(kinds), fc.shuffledSubarray(kinds, { minLength: kinds.length }))),
        (limit, cost, [kinds, shuffled]) => {
          expect(admittedAtOnce(limit, cost, shuffled)).toBe(admittedAtOnce(limit, cost, kinds));
        },
      ),
      RUNS,
    );
  });

  it("never gains a token by a change of limit", () => {
    fc.assert(
      fc.property(anyLimit, fc.array(anyLimit, { minLength: 1, maxLength: 8 }), fc.nat(), (first, others, held) => {
        let limit = first;
        let bucket: Bucket = { tokens: held % (limit.burst + 1), rem: 0, last: START, outstanding: 0 };
        for (const other of [...others, first]) {
          const changed = changeLimit(bucket, limit, other, START);
          // Level in tokens, compared crosswise: changed / other.windowMs <= bucket / limit.windowMs.
          const before = BigInt(bucket.tokens) * BigInt(limit.windowMs) + BigInt(bucket.rem);
          const after = BigInt(changed.tokens) * BigInt(other.windowMs) + BigInt(changed.rem);
          expect(after * BigInt(limit.windowMs) <= before * BigInt(other.windowMs)).toBe(true);
          expect(changed.tokens).toBeLessThanOrEqual(other.burst);
          expect(changed.rem).toBeLessThan(other.windowMs);
          [bucket, limit] = [changed, other];
        }
      }),
      RUNS,
    );
  });
});

it("starts a lost bucket with nothing", () => {
  expect(emptyBucket(START)).toEqual({ tokens: 0, rem: 0, last: START, outstanding: 0 });
});

function admittedAtOnce(limit: BucketLimit, cost: number, takes: readonly boolean[]): number {
  let bucket = fullBucket(limit, START);
  let sum = 0;
  for (const isTake of takes) {
    const decision = take(bucket, limit, isTake ? cost : 0, START);
    bucket = decision.bucket;
    if (isTake && decision.allowed) sum += cost;
  }
  return sum;
}
