import fc from "fast-check";
import { expect, it } from "vitest";
import { limitProblem } from "../../../objects/rate-limiter/limit-item.ts";
import type { RateLimit } from "../../../schemas/index.ts";
import { parseConfig } from "../../../schemas/index.ts";
import { ROUTE } from "./documents.ts";

const anyCount = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }));
const anyCost = fc.oneof(
  fc.constantFrom(0, 0.001, 0.5, 1, 2.25, 99.999, 999_999_999),
  fc.record({ header: fc.constant("x-cost"), min: fc.constantFrom(0.01, 1), max: fc.constantFrom(1, 50, 999_999_999) }),
  fc.record({ paths: fc.constant({ "/a": 0.5, "/b": 10 }), otherwise: fc.constantFrom(0, 1, 1.25) }),
);

const anyWindow = fc.constantFrom("1ms", "1s", "1h", "366d");
const anyExtra = fc.record(
  {
    cost: anyCost,
    settle: fc.constantFrom({ header: "x-used" }, { header: "x-used", max: 5.5 }, { bytesPerToken: "1KiB" }),
    maxDebt: fc.oneof(fc.constant(0), anyCount),
    countWhen: fc.constantFrom(401, "4xx"),
    mode: fc.constantFrom("strict", "leased"),
    by: fc.constantFrom("ip", "all", "principal", "cookie:sid"),
    ban: fc.boolean(),
  },
  { requiredKeys: [] },
);
const numbers = { requestsPerWindow: anyCount, window: anyWindow };

/** Limits whose fields are sound one by one; whether they can be had together is for the gateway to say. */
const anyLimit = fc
  .tuple(
    fc.oneof(
      fc.record({ ...numbers, burst: anyCount }),
      fc.record({ ...numbers, algorithm: fc.constantFrom("sliding-window", "approximate-sliding-window") }),
      fc.record({
        requestsPerWindow: anyCount,
        algorithm: fc.constant("fixed-window"),
        calendar: fc.constantFrom("day", "month"),
        timeZone: fc.constantFrom("UTC", "Asia/Kolkata"),
      }),
    ),
    anyExtra,
  )
  .map(([limit, extra]) => Object.assign({}, limit, extra));
const anyMultiplier = fc.option(fc.constantFrom(0.001, 0.5, 1, 10, 1_000_000), { nil: undefined });

it("a limit that is accepted can be counted by its owner, exactly, and lets its cheapest request through", () => {
  let accepted = 0;
  fc.assert(
    fc.property(anyLimit, anyMultiplier, (rateLimit, rateLimitMultiplier) => {
      const route = rateLimitMultiplier === undefined ? ROUTE : { ...ROUTE, rateLimitMultiplier };
      const result = parseConfig({ rateLimit, routes: [route] });
      if (!result.ok) {
        for (const { path, got, wanted } of result.problems) expect([path, got, wanted]).not.toContain("");
        return;
      }
      const [limit] = result.config.routes[0]?.rateLimits ?? [];
      if (limit === undefined) throw new Error("the limit has gone");
      accepted += 1;
      expect(ownerProblem(limit)).toBeUndefined();
      expect(Number.isSafeInteger(limit.maxDebt * limit.unitsPerToken)).toBe(true);
      expect(cheapest(limit) * limit.multiplier).toBeLessThanOrEqual(limit.burst * (1 + Number.EPSILON));
    }),
    { numRuns: 2_000, seed: 1 },
  );
  expect(accepted).toBeGreaterThan(50);
});

/** What the owner would say to a question about this limit; permits are asked for in other words. */
function ownerProblem(limit: RateLimit): string | undefined {
  const { algorithm, windowMs, calendar, unitsPerToken: units, shadow } = limit;
  if (algorithm === "concurrency") return undefined;
  const numbers = { tokensPerWindow: limit.requestsPerWindow * units, windowMs, burst: limit.burst * units };
  const item = { policy: limit.id, ...numbers, algorithm, cost: 1, shadow };
  return limitProblem(calendar === undefined ? item : { ...item, calendar }, "items[0]");
}

function cheapest({ cost }: RateLimit): number {
  switch (cost.kind) {
    case "static":
      return cost.cost;
    case "header":
      return cost.min;
    case "paths":
      return Math.min(cost.otherwise, ...cost.costs.map((path) => path.cost));
  }
}
