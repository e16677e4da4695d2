import fc from "fast-check";
import type { LimitItem } from "../../../objects/rate-limiter/limit-item.ts";
import type { BucketLimit } from "../../../objects/rate-limiter/algorithms/token-bucket.ts";

/** Every property here runs at least this often. */
export const RUNS = { numRuns: 2_000 };

/** Some time in 2026, as the owner's clock says it. */
export const START = 1_790_000_000_000;

/** Limits from one token in a millisecond to one in a month, with bursts up to the largest that is counted exactly. */
export const anyLimit: fc.Arbitrary<BucketLimit> = fc
  .record({
    tokensPerWindow: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 1_000_000_000 })),
    windowMs: fc.oneof(
      fc.integer({ min: 1, max: 60 }),
      fc.constantFrom(1_000, 60_000, 3_600_000, 86_400_000, 2_592_000_000),
    ),
    burst: fc.oneof(
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 3_000_000 }),
      fc.constant(Number.MAX_SAFE_INTEGER),
    ),
  })
  .map(({ tokensPerWindow, windowMs, burst }) => {
    return { tokensPerWindow, windowMs, burst: Math.min(burst, Math.floor(2 ** 53 / windowMs)) };
  });

/** Milliseconds from one event to the next, forwards. */
export const anyGap: fc.Arbitrary<number> = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 1, max: 20 }),
  fc.integer({ min: 1, max: 20_000 }),
  fc.integer({ min: 1, max: 40_000_000_000 }),
);

/** Milliseconds from one event to the next on a clock that may step back. */
export const anyStep: fc.Arbitrary<number> = fc.oneof(
  { weight: 3, arbitrary: anyGap },
  { weight: 1, arbitrary: fc.integer({ min: -12_000, max: -1 }) },
);

/** Costs about the size of the burst, which decide something, among small ones. */
export function anyCost(limit: BucketLimit): fc.Arbitrary<number> {
  return fc.oneof(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: limit.burst + 1 }));
}

/** A limit and a history under it. */
export function limitWith<Event>(
  event: (limit: BucketLimit) => fc.Arbitrary<Event>,
): fc.Arbitrary<{ limit: BucketLimit; events: Event[] }> {
  return anyLimit.chain((limit) =>
    fc.record({ limit: fc.constant(limit), events: fc.array(event(limit), { minLength: 1, maxLength: 30 }) }),
  );
}

/** The numbers of a limit of any algorithm. */
export const anyNumbers: fc.Arbitrary<Omit<LimitItem, "policy">> = fc
  .tuple(anyLimit, fc.nat({ max: 5 }))
  .map(([limit, kind]) => numbersOf(limit, kind));

function numbersOf(limit: BucketLimit, kind: number): Omit<LimitItem, "policy"> {
  const tokensPerWindow = Math.min(limit.tokensPerWindow, Math.floor(2 ** 53 / limit.windowMs));
  const numbers = { ...limit, tokensPerWindow };
  switch (kind) {
    case 0:
      return limit;
    case 1:
      return { ...numbers, algorithm: "token-bucket" };
    case 2:
      return { ...numbers, algorithm: "sliding-window" };
    case 3:
      return { ...numbers, algorithm: "approximate-sliding-window" };
    case 4:
      return { ...numbers, algorithm: "fixed-window" };
    default:
      return { ...numbers, algorithm: "fixed-window", calendar: { unit: "day", timeZone: "Europe/Berlin" } };
  }
}
