import fc from "fast-check";
import { expect, it } from "vitest";
import { creditSpent, noteTurnedAway, type TurnedAway } from "../../../objects/rate-limiter/leases/turned-away.ts";

const limit = { tokensPerWindow: 3, windowMs: 7, burst: 1_000 };

/** What the ceiling turned away, drawn as times at which it did or did not. */
const anyStretches = fc.array(fc.record({ gap: fc.nat({ max: 20 }), length: fc.integer({ min: 1, max: 30 }) }), {
  minLength: 1,
  maxLength: 8,
});
const anyReports = fc.array(
  fc.array(fc.record({ at: fc.nat({ max: 200 }), tokens: fc.nat({ max: 20 }) }), { maxLength: 5 }),
  { maxLength: 8 },
);

it("credits each spent token with refill that was turned away after it, and none of that twice (T6)", () => {
  fc.assert(
    fc.property(anyStretches, anyReports, (drawn, reports) => {
      let stretches: readonly TurnedAway[] = [];
      let now = 0;
      for (const { gap, length } of drawn) {
        // Below its ceiling until now + gap: 1 ms of a token is missing for each ms.
        const bucket = { tokens: 989, rem: 0, last: now + gap, outstanding: 11 };
        stretches = noteTurnedAway(stretches, bucket, limit, now + gap + length);
        now += gap + length;
      }
      const all = stretches;
      let credited = 0;
      const spends: { at: number; tokens: number }[] = [];
      for (const report of reports) {
        const latestFirst = report.toSorted((a, b) => b.at - a.at);
        const { units, left } = creditSpent(stretches, latestFirst, limit, Number.MAX_SAFE_INTEGER);
        stretches = left;
        credited += units;
        spends.push(...latestFirst);
      }
      // By Hall's theorem a matching exists if, for every time, what is matched from then on fits the refill from then on;
      // what was spent from then on bounds the matched from above, the refill from then on bounds it too.
      let most = Infinity;
      for (const from of [-1, ...spends.map(({ at }) => at)]) {
        const refill = all.reduce((sum, one) => sum + Math.max(0, one.to - Math.max(one.from, from)), 0);
        const before = spends.reduce((sum, { at, tokens }) => sum + (at < from ? tokens : 0), 0);
        most = Math.min(most, refill * limit.tokensPerWindow + before * limit.windowMs);
      }
      expect(credited).toBeLessThanOrEqual(most);
    }),
    { numRuns: 2_000 },
  );
});

it("turns nothing away below the ceiling, without leases, or where leases exceed a burst that was cut", () => {
  const full = { tokens: 900, rem: 0, last: 0, outstanding: 100 };
  expect(noteTurnedAway([], full, limit, 50)).toEqual([{ from: 0, to: 50, used: 0 }]);
  expect(noteTurnedAway([], { ...full, tokens: 0 }, limit, 50)).toEqual([]);
  expect(noteTurnedAway([], { ...full, tokens: 1_000, outstanding: 0 }, limit, 50)).toEqual([]);
  expect(noteTurnedAway([], { ...full, tokens: 0, outstanding: 1_001 }, limit, 50)).toEqual([]);
});

it("goes on where it left off while the bucket stays at its ceiling, and forgets after 6 s", () => {
  const full = { tokens: 900, rem: 0, last: 0, outstanding: 100 };
  const first = noteTurnedAway([], full, limit, 50);
  const second = noteTurnedAway(first, { ...full, last: 50 }, limit, 80);
  expect(second).toEqual([{ from: 0, to: 80, used: 0 }]);
  const apart = noteTurnedAway(second, { ...full, last: 90 }, limit, 95);
  expect(apart).toEqual([
    { from: 0, to: 80, used: 0 },
    { from: 90, to: 95, used: 0 },
  ]);
  expect(noteTurnedAway(apart, { ...full, last: 7_000 }, limit, 7_010)).toEqual([{ from: 7_000, to: 7_010, used: 0 }]);
});
