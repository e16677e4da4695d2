import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NEW_CLIENT } from "../../../objects/rate-limiter/client-state.ts";
import { take } from "../../../objects/rate-limiter/ledger.ts";
import type { TakeMessage, TakeReply } from "../../../objects/rate-limiter/messages.ts";
import { parseConfig, type RateLimit } from "../../../schemas/index.ts";
import { forgetDenial, knownDenial, learnDenial } from "../../../worker/limits/asked/known-denials.ts";
import { limitItem } from "../../../worker/limits/limit-group.ts";

const NOW = 1_790_000_000_000;
const BUCKET = { name: "l", requestsPerWindow: 60, windowSeconds: 60, burst: 10, mode: "strict" };
const FIXED = { name: "l", requestsPerWindow: 10, windowSeconds: 60, mode: "strict", algorithm: "fixed-window" };
const SLIDING = { name: "l", requestsPerWindow: 10, windowSeconds: 60, mode: "strict", algorithm: "sliding-window" };
const SETTLED = { name: "l", requestsPerWindow: 60, windowSeconds: 60, burst: 10, countWhen: 401 };

let keys = 0;

function limitsOf(...rateLimits: readonly object[]): readonly RateLimit[] {
  const parsed = parseConfig({ routes: [{ id: "r", prefix: "/", target: "https://origin.example", rateLimits }] });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.config.routes[0]?.rateLimits ?? [];
}

/** What is known of costs after an owner has refused this one, and said to wait for 500 ms. */
function afterRefusal(limit: object, cost: number, retryAfterMs: number | null = 500) {
  keys += 1;
  const limits = limitsOf(limit);
  const key = String(keys);
  const reply: TakeReply = {
    v: 1,
    allowed: false,
    items: [{ policy: "p", allowed: false, remaining: 0, retryAfterMs }],
  };
  learnDenial({ key, limits, costs: [cost] }, reply, NOW);
  return {
    wait: (asked: number, ageMs: number) =>
      knownDenial({ key, limits, costs: [asked] }, NOW + ageMs)?.map((item) => item.retryAfterMs),
    learn: (said: TakeReply) => learnDenial({ key, limits, costs: [cost] }, said, NOW),
    forget: () => forgetDenial(key),
  };
}

describe("a refusal", () => {
  it.each([
    { title: "is repeated with what is left to wait", limit: BUCKET, asked: 2, ageMs: 499, waits: [1] },
    { title: "ends when the wait does", limit: BUCKET, asked: 2, ageMs: 500, waits: undefined },
    { title: "says nothing of a lower cost", limit: BUCKET, asked: 1, ageMs: 0, waits: undefined },
    { title: "of a bucket tells how long a higher cost waits", limit: BUCKET, asked: 4, ageMs: 600, waits: [1_900] },
    { title: "is believed for a second at most", limit: BUCKET, asked: 4, ageMs: 1_000, waits: undefined },
    { title: "is not believed by a clock that stepped back", limit: BUCKET, asked: 2, ageMs: -1, waits: undefined },
    { title: "is for ever where a cost is beyond the burst", limit: BUCKET, asked: 11, ageMs: 0, waits: [null] },
    { title: "of a fixed window is the same for a higher cost", limit: FIXED, asked: 4, ageMs: 100, waits: [400] },
    {
      title: "of a sliding window says nothing of a higher cost",
      limit: SLIDING,
      asked: 4,
      ageMs: 0,
      waits: undefined,
    },
    {
      title: "where costs are reserved says nothing of a higher one",
      limit: SETTLED,
      asked: 4,
      ageMs: 0,
      waits: undefined,
    },
  ])("$title", ({ limit, asked, ageMs, waits }) => {
    expect(afterRefusal(limit, 2).wait(asked, ageMs)).toEqual(waits);
  });

  it("for ever stays one for a second", () => {
    expect(afterRefusal(BUCKET, 11, null).wait(12, 999)).toEqual([null]);
  });

  it("is forgotten once the owner admits something, or something was given back", () => {
    const admitted = afterRefusal(BUCKET, 2);
    admitted.learn({ v: 1, allowed: true, items: [{ policy: "p", allowed: true, remaining: 0, retryAfterMs: 0 }] });
    expect(admitted.wait(2, 0)).toBeUndefined();
    const returned = afterRefusal(BUCKET, 2);
    returned.forget();
    expect(returned.wait(2, 0)).toBeUndefined();
  });

  it("of a banned client is none of the limit's", () => {
    const banned = afterRefusal(BUCKET, 2);
    const items = [{ policy: "p", allowed: false, remaining: 0, retryAfterMs: 9_000 }];
    banned.learn({ v: 1, allowed: false, items, ban: { remainingMs: 9_000, reason: "test" } });
    expect(banned.wait(2, 0)).toBeUndefined();
  });
});

it("says what the owner would say, of every limit that refuses", () => {
  const anyRule = fc.record({
    requestsPerWindow: fc.integer({ min: 1, max: 40 }),
    windowSeconds: fc.constantFrom(1, 2, 7, 60),
    kind: fc.constantFrom(
      { algorithm: "token-bucket" },
      { algorithm: "token-bucket", shadow: true },
      { algorithm: "fixed-window" },
      { algorithm: "sliding-window" },
      { algorithm: "approximate-sliding-window" },
    ),
  });
  const anyCosts = fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 3, maxLength: 3 });
  const anyTime = fc.integer({ min: 0, max: 1_200 });
  let known = 0;
  fc.assert(
    fc.property(
      fc.array(anyRule, { minLength: 1, maxLength: 3 }),
      fc.array(fc.tuple(anyCosts, anyTime), { minLength: 2, maxLength: 12 }),
      (rules, visits) => {
        keys += 1;
        const rateLimits = rules.map(({ kind, ...numbers }, index) => ({
          ...numbers,
          ...kind,
          name: `l${index}`,
          ...(kind.algorithm === "approximate-sliding-window" ? {} : { mode: "strict" }),
        }));
        const limits = limitsOf(...rateLimits);
        let state = NEW_CLIENT;
        let now = NOW;
        for (const [all, laterMs] of visits) {
          now += laterMs;
          const denied = { key: String(keys), limits, costs: all.slice(0, limits.length) };
          const items = limits.map((limit, index) =>
            Object.assign({ cost: denied.costs[index] ?? 0 }, limitItem(limit)),
          );
          const message: TakeMessage = { v: 1, configVersion: 1, client: "c", items };
          const said = knownDenial(denied, now);
          const outcome = take(state, message, now);
          if (said !== undefined) {
            known += 1;
            expect(outcome.reply.allowed).toBe(false);
            for (const [index, item] of said.entries()) {
              if (item.allowed) continue;
              const wanted = outcome.reply.items[index];
              expect(wanted?.allowed).toBe(false);
              // Of a higher cost than the refused one the last fraction of a token is not known.
              const off = (wanted?.retryAfterMs ?? 0) - (item.retryAfterMs ?? 0);
              expect([0, 1]).toContain(off);
              expect(item.resetMs).toBe(wanted?.resetMs);
            }
            continue;
          }
          ({ state } = outcome);
          learnDenial(denied, outcome.reply, now);
        }
      },
    ),
    { numRuns: 3_000 },
  );
  expect(known).toBeGreaterThan(1_000);
});
