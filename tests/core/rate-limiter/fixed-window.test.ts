import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Quota, QuotaLimit } from "../../../objects/rate-limiter/algorithms/fixed-window.ts";
import {
  advance,
  changeLimit,
  giveBack,
  leaseEnd,
  remaining,
  resetMs,
  spentQuota,
  take,
  unusedQuota,
  wholeAt,
} from "../../../objects/rate-limiter/algorithms/fixed-window.ts";
import type { WindowRule } from "../../../objects/rate-limiter/algorithms/time-window.ts";
import { windowAt } from "../../../objects/rate-limiter/algorithms/time-window.ts";
import { RUNS, START } from "./arbitraries.ts";

const BERLIN_DAYS: WindowRule = { kind: "calendar", unit: "day", timeZone: "Europe/Berlin" };
const NOON = Date.parse("2026-10-25T12:00:00+01:00");
const DAY_BEGIN = Date.parse("2026-10-25T00:00:00+02:00");
const DAY_END = Date.parse("2026-10-26T00:00:00+01:00");

const anyRule: fc.Arbitrary<WindowRule> = fc.oneof(
  fc.record({ kind: fc.constant("fixed" as const), windowMs: fc.integer({ min: 1, max: 100_000 }) }),
  fc.record({
    kind: fc.constant("calendar" as const),
    unit: fc.constantFrom("minute" as const, "hour" as const, "day" as const, "week" as const, "month" as const),
    timeZone: fc.constantFrom("Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"),
  }),
);
const anyLimit: fc.Arbitrary<QuotaLimit> = fc.record({
  tokensPerWindow: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constant(Number.MAX_SAFE_INTEGER)),
  rule: anyRule,
});
const anySteps = fc.array(
  fc.record({
    gap: fc.oneof(fc.nat({ max: 2_000 }), fc.nat({ max: 50_000 }), fc.nat({ max: 90_000_000 })),
    cost: fc.nat({ max: 13 }),
  }),
  { minLength: 1, maxLength: 30 },
);

describe("a quota", () => {
  it("admits in each window as many tokens as fit, whatever was asked, and tells when it begins anew", () => {
    fc.assert(
      fc.property(anyLimit, anySteps, (limit, steps) => {
        const used = new Map<number, number>();
        let quota = unusedQuota(limit, NOON);
        let now = NOON;
        for (const { gap, cost } of steps) {
          now += gap;
          const { id, endsAt } = windowAt(limit.rule, now);
          const before = used.get(id) ?? 0;
          const fits = before + cost <= limit.tokensPerWindow;
          const decision = take(quota, limit, cost, now);
          quota = decision.quota;
          const wait = cost > limit.tokensPerWindow ? null : endsAt - now;
          expect(decision).toEqual({
            allowed: fits,
            quota: { id, used: fits ? before + cost : before },
            retryAfterMs: fits ? 0 : wait,
          });
          if (fits) used.set(id, before + cost);
          expect(remaining(quota, limit)).toBe(limit.tokensPerWindow - quota.used);
          if (fits || wait === null) continue;
          expect(take(quota, limit, cost, now + wait).allowed).toBe(true);
          expect(take(quota, limit, cost, now + wait - 1).allowed).toBe(false);
        }
      }),
      RUNS,
    );
  });

  it("never leaves more after a change of limit than before, or what was used stays used", () => {
    fc.assert(
      fc.property(
        anyLimit,
        fc.array(anyLimit, { minLength: 1, maxLength: 5 }),
        fc.nat({ max: 12 }),
        (first, others, cost) => {
          let limit = first;
          let quota = take(unusedQuota(limit, NOON), limit, cost, NOON).quota;
          for (const other of [...others, first]) {
            const changed = changeLimit(quota, limit, other, NOON);
            const isSame = JSON.stringify(limit.rule) === JSON.stringify(other.rule);
            if (isSame) expect(changed).toEqual(quota);
            if (!isSame) {
              expect(changed.id).toBe(windowAt(other.rule, NOON).id);
              expect(remaining(changed, other)).toBe(Math.min(other.tokensPerWindow, remaining(quota, limit)));
            }
            expect(JSON.parse(JSON.stringify(changed))).toEqual(changed);
            [quota, limit] = [changed, other];
          }
        },
      ),
      RUNS,
    );
  });
});

describe("1,000 a day in Berlin", () => {
  const limit: QuotaLimit = { tokensPerWindow: 1_000, rule: BERLIN_DAYS };
  const used: Quota = { id: DAY_BEGIN, used: 1_000 };

  it("lasts 25 hours on the day that the clocks go back", () => {
    expect(take(used, limit, 1, DAY_BEGIN)).toEqual({ allowed: false, quota: used, retryAfterMs: 25 * 3_600_000 });
    expect(take(used, limit, 1, DAY_END)).toEqual({ allowed: true, quota: { id: DAY_END, used: 1 }, retryAfterMs: 0 });
    expect(resetMs(used, limit, NOON)).toBe(12 * 3_600_000);
    expect(wholeAt(used, limit)).toBe(DAY_END);
    expect(wholeAt(unusedQuota(limit, NOON), limit)).toBe(DAY_BEGIN);
  });

  it("lets a look pass when nothing is left, and no cost above the limit ever", () => {
    expect(take(used, { ...limit, tokensPerWindow: 10 }, 0, NOON).allowed).toBe(true);
    expect(remaining(used, { ...limit, tokensPerWindow: 10 })).toBe(0);
    expect(take(unusedQuota(limit, NOON), limit, 1_001, NOON).retryAfterMs).toBeNull();
  });

  it("takes returns of its own window only, and no more than was used", () => {
    expect(giveBack(used, DAY_BEGIN, 400)).toEqual({ id: DAY_BEGIN, used: 600 });
    expect(giveBack(used, DAY_BEGIN, 4_000)).toEqual({ id: DAY_BEGIN, used: 0 });
    expect(giveBack({ id: DAY_END, used: 7 }, DAY_BEGIN, 4)).toEqual({ id: DAY_END, used: 7 });
  });

  it("ends its leases a guard before the window", () => {
    expect(leaseEnd(used, limit, 100)).toBe(DAY_END - 100);
  });

  it("starts used up when its record was lost", () => {
    expect(spentQuota(limit, NOON)).toEqual(used);
  });

  it("waits out a step back of 5 s over midnight, and believes a longer one with what was left", () => {
    const next: Quota = { id: DAY_END, used: 990 };
    expect(advance(next, limit, DAY_END - 5_000)).toBe(next);
    expect(take(next, limit, 11, DAY_END - 5_000).retryAfterMs).toBe(24 * 3_600_000);
    expect(advance(next, limit, DAY_END - 5_001)).toEqual({ id: DAY_BEGIN, used: 990 });
    expect(advance(used, limit, DAY_BEGIN + 1)).toBe(used);
  });

  it("changed while a step back is waited out stays in the later window", () => {
    const next: Quota = { id: DAY_END, used: 990 };
    const hours: QuotaLimit = { tokensPerWindow: 100, rule: { kind: "fixed", windowMs: 3_600_000 } };
    expect(changeLimit(next, limit, hours, DAY_END - 3_000)).toEqual({ id: DAY_END, used: 90 });
  });
});

it("twice the limit may pass around the end of a window, and not more", () => {
  const limit: QuotaLimit = { tokensPerWindow: 100, rule: { kind: "fixed", windowMs: 60_000 } };
  const end = windowAt(limit.rule, START).endsAt;
  const first = take(unusedQuota(limit, START), limit, 100, end - 1);
  const second = take(first.quota, limit, 100, end);
  expect([first.allowed, second.allowed, take(second.quota, limit, 1, end + 59_999).allowed]).toEqual([
    true,
    true,
    false,
  ]);
});
