import * as fc from "fast-check";
import { expect, it } from "vitest";
import {
  changePace,
  leftOf,
  lostPace,
  newPace,
  nextSlotAt,
  returnSlot,
  takeSlot,
  wholeAt,
} from "../../../objects/upstream-quota/pace.ts";
import type { QuotaPolicy } from "../../../objects/upstream-quota/quota-policy.ts";
import { policyOf, START } from "./quota-world.ts";

const policies = fc
  .record({
    requests: fc.integer({ min: 1, max: 200 }),
    windowMs: fc.integer({ min: 1, max: 100_000 }),
    burstShare: fc.double({ min: 0, max: 1, noNaN: true }),
    spacingMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2_000 })),
  })
  .map(({ requests, windowMs, burstShare, spacingMs }): QuotaPolicy => {
    const burst = Math.max(1, Math.floor(burstShare * requests));
    return policyOf({ requests, windowMs, burst, spacingMs: Math.min(spacingMs, windowMs) });
  });

/** How long to wait before asking, how long the slot is to be, for how many of what is left, where in it each starts, and whether it comes back. */
const visits = fc.array(
  fc.record({
    waitMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 50_000 })),
    toleranceMs: fc.integer({ min: 0, max: 1_000 }),
    share: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true })),
    within: fc.double({ min: 0, max: 1, noNaN: true }),
    isReturned: fc.boolean(),
  }),
  { minLength: 1, maxLength: 300 },
);

it("never lets more than N start in any window, nor two without the spacing, wherever in its slot each starts", () => {
  fc.assert(
    fc.property(policies, visits, (policy, list) => {
      let pace = newPace(policy, START);
      let now = START;
      const starts: number[] = [];
      for (const { waitMs, toleranceMs, share, within, isReturned } of list) {
        now = Math.max(now + waitMs, nextSlotAt(pace, policy, now + waitMs));
        const most = policy.spacingMs > 0 ? 1 : leftOf(pace, policy, now).burst;
        const count = Math.max(1, Math.floor(share * most));
        const taken = takeSlot(pace, policy, { from: now, toleranceMs, count });
        pace = taken.pace;
        const used = isReturned ? Math.floor(within * count) : count;
        if (isReturned) pace = returnSlot(pace, policy, { ...taken.slot, count: count - used }, now);
        for (let one = 1; one <= used; one += 1) starts.push(Math.floor(now + (within * toleranceMs) / one));
      }
      starts.sort((a, b) => a - b);
      for (const [index, at] of starts.entries()) {
        const first = starts[index - policy.requests];
        if (first !== undefined) expect(at - first).toBeGreaterThan(policy.windowMs);
        const before = starts[index - 1];
        if (before !== undefined) expect(at - before).toBeGreaterThanOrEqual(policy.spacingMs);
      }
    }),
    { numRuns: 300 },
  );
});

it("says the shortest wait: a slot a millisecond earlier would not be there", () => {
  fc.assert(
    fc.property(policies, visits, (policy, list) => {
      let pace = newPace(policy, START);
      let now = START;
      for (const { waitMs, toleranceMs } of list.slice(0, 60)) {
        now += waitMs;
        const at = nextSlotAt(pace, policy, now);
        if (at > now) expect(nextSlotAt(pace, policy, at - 1)).toBe(at);
        expect(nextSlotAt(pace, policy, at)).toBe(at);
        ({ pace } = takeSlot(pace, policy, { from: at, toleranceMs, count: 1 }));
        now = at;
      }
    }),
    { numRuns: 200 },
  );
});

it("uses all of a window but for a thousandth that it is longer, and one that it is counted in", () => {
  const policy = policyOf({ requests: 30, burst: 30, spacingMs: 0 });
  let pace = newPace(policy, START);
  let now = START;
  for (let count = 0; count < 300; count += 1) {
    now = nextSlotAt(pace, policy, now);
    ({ pace } = takeSlot(pace, policy, { from: now, toleranceMs: 0, count: 1 }));
  }
  expect(now - START).toBeLessThanOrEqual(9 * (60_060 + 61));
});

it("takes a lost record for all used up", () => {
  const policy = policyOf();
  const pace = lostPace(policy, START);
  expect(leftOf(pace, policy, START)).toEqual({ requests: 0, burst: 0 });
  expect(nextSlotAt(pace, policy, START) - START).toBeGreaterThan(policy.windowMs);
});

it("grants nothing by changing the policy back and forth", () => {
  const small = policyOf({ requests: 5, burst: 2 });
  const large = policyOf({ requests: 200, burst: 100, windowMs: 30_000 });
  let pace = newPace(small, START);
  for (let count = 0; count < 2; count += 1) {
    const from = nextSlotAt(pace, small, START);
    ({ pace } = takeSlot(pace, small, { from, toleranceMs: 0, count: 1 }));
  }
  const before = leftOf(pace, small, START + 200);
  for (let count = 0; count < 10; count += 1) {
    pace = changePace(changePace(pace, small, large, START + 200), large, small, START + 200);
  }
  const after = leftOf(pace, small, START + 200);
  expect(after.requests).toBeLessThanOrEqual(before.requests);
  expect(after.burst).toBeLessThanOrEqual(before.burst);
});

it("knows when it has nothing left to remember", () => {
  const policy = policyOf();
  const { pace } = takeSlot(newPace(policy, START), policy, { from: START, toleranceMs: 500, count: 1 });
  const at = wholeAt(pace, policy);
  expect(at - START).toBeGreaterThan(60_500);
  expect(leftOf(pace, policy, at)).toEqual({ requests: 30, burst: 10 });
});
