import fc from "fast-check";
import { expect, test } from "vitest";
import { ShadowBucket } from "../../simulation/checker.ts";
import { overAdmission, type Admission, type PromisedLimit } from "../../support/fleet/over-admission.ts";

/** 10 at once and one every 100 ms. */
const TEN_A_SECOND: PromisedLimit = { tokensPerWindow: 10, windowMs: 1_000, burst: 10 };

const limits = fc.record({
  tokensPerWindow: fc.integer({ min: 1, max: 50 }),
  windowMs: fc.integer({ min: 1, max: 2_000 }),
  burst: fc.integer({ min: 1, max: 20 }),
});
const admissions = fc.array(
  fc
    .record({ from: fc.nat(3_000), took: fc.nat(500), tokens: fc.integer({ min: 1, max: 5 }) })
    .map(({ from, took, tokens }): Admission => ({ from, until: from + took, tokens })),
  { maxLength: 60 },
);

test.each([
  ["nothing", [], 0],
  ["the burst at once", at(0, 10), 0],
  ["one more than the burst at once", at(0, 11), 1],
  ["the burst, and what time earned", [...at(0, 10), ...at(1_000, 10)], 0],
  ["the burst, and one more than time earned", [...at(0, 10), ...at(1_000, 11)], 1],
  ["the burst, and another one a moment too early", [...at(0, 10), ...at(99, 1)], 1],
  ["twice the burst by requests that were long under way", [...at(0, 10, 1_000), ...at(0, 10)], 0],
  ["more than even those that were long under way could be", [...at(0, 10, 999), ...at(0, 10)], 1],
] as const)("judges %s", (_, seen, excess) => {
  expect(overAdmission(seen, TEN_A_SECOND)).toBe(excess);
});

test("finds in every history what looking at every interval finds", () => {
  fc.assert(
    fc.property(admissions, limits, (seen, limit) => {
      expect(overAdmission(seen, limit)).toBe(byEveryInterval(seen, limit));
    }),
    { numRuns: 2_000 },
  );
});

test("agrees with a bucket that knows the instant of each admission", () => {
  fc.assert(
    fc.property(admissions, limits, (seen, limit) => {
      const instants = seen.map(({ from, tokens }) => ({ from, until: from, tokens }));
      const bucket = new ShadowBucket({ policy: "p", shadow: false, ...limit });
      for (const { from, tokens } of instants.toSorted((a, b) => a.from - b.from)) bucket.admit(tokens, from);
      expect(overAdmission(instants, limit)).toBe(Math.ceil(Math.max(0, bucket.worstDeficit - 1e-9)));
    }),
    { numRuns: 2_000 },
  );
});

function at(from: number, many: number, took = 0): Admission[] {
  return Array.from({ length: many }, () => ({ from, until: from + took, tokens: 1 }));
}

function byEveryInterval(seen: readonly Admission[], { tokensPerWindow, windowMs, burst }: PromisedLimit): number {
  let worst = 0;
  for (const { from } of seen) {
    for (const { until } of seen) {
      const within = seen.filter((one) => one.from >= from && one.until <= until);
      const units = within.reduce((sum, { tokens }) => sum + tokens * windowMs, 0);
      if (within.length > 0) worst = Math.max(worst, units - burst * windowMs - (until - from) * tokensPerWindow);
    }
  }
  return Math.ceil(worst / windowMs);
}
