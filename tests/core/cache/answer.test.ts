import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ageOnArrival } from "../../../worker/cache/age.ts";
import { answerOf, answerOnFailure, isErrorStatus, retentionOf, type Answer } from "../../../worker/cache/answer.ts";
import { DEFAULT_CACHE, type CachePolicy } from "../../../schemas/cache-policy.ts";
import type { PurgeVerdict } from "../../../objects/control-plane/purge.ts";
import { NO_REQUEST_RULES, requestRulesOf } from "../../../worker/cache/request-rules.ts";
import { servedFields } from "../../../worker/cache/served-fields.ts";
import { NOW, candidate, dated, reading, stored } from "./fixtures.ts";

const ASKING: CachePolicy = { ...DEFAULT_CACHE, respectRequestDirectives: true };

function asked(cacheControl: string) {
  return requestRulesOf(reading({ "cache-control": cacheControl }), ASKING);
}

describe("the age of a response", () => {
  it.each<[string, Record<string, string>, number]>([
    ["is nothing where nothing says otherwise", {}, 0],
    ["is what its Date says", { date: dated(-30) }, 30_000],
    ["is nothing where its Date lies ahead", { date: dated(30) }, 0],
    ["is what its Age says and how long it took", { date: dated(-1), age: "30" }, 32_000],
    ["is the first of several", { age: "7, 0" }, 9_000],
    ["is the first of several although the next is more", { age: "0,7200" }, 2_000],
    ["is not what can't be read", { age: "7.5" }, 2_000],
    ["is not what is negative", { age: "-7200" }, 2_000],
    ["is not what has a parameter", { age: "7200;foo=bar" }, 2_000],
  ])("%s", (_title, fields, expected) => {
    const took = expected > 0 && fields["age"] !== undefined ? 2_000 : 0;
    expect(ageOnArrival(reading(fields), { requestedAt: NOW - took, receivedAt: NOW })).toBe(expected);
  });

  it("goes on in the store, on whatever clock, and is told to the client beside the Date as it was", () => {
    const kept = stored({ date: dated(-30), "cache-tag": "a", "surrogate-key": "b", age: "3" });
    const ages = [60_000, 0, -60_000].map((later) => servedFields(kept, NOW + later));
    expect(ages.map((fields) => fields.find(([name]) => name === "age")?.[1])).toEqual(["90", "30", "30"]);
    expect(ages[0]).toEqual([
      ["date", dated(-30)],
      ["age", "90"],
    ]);
  });

  it("is counted from its arrival where it has no Date, and it gets one", () => {
    expect(servedFields(stored({}), NOW + 5_000)).toEqual([
      ["date", dated(0)],
      ["age", "5"],
    ]);
  });
});

describe("a request is answered", () => {
  it.each<[string, Record<string, string>, number, Answer]>([
    ["with what is fresh", { "cache-control": "max-age=60" }, 59_999, { kind: "fresh", ageMs: 59_999, ttlMs: 1 }],
    [
      "by asking whether what is stale is right",
      { "cache-control": "max-age=60" },
      60_000,
      { kind: "validate", why: "stale", ttlMs: 0 },
    ],
    [
      "with the stale while it is fetched anew",
      { "cache-control": "max-age=60, stale-while-revalidate=9" },
      68_999,
      { kind: "stale", ageMs: 68_999, ttlMs: -8_999, refresh: true },
    ],
    [
      "not with what is staler",
      { "cache-control": "max-age=60, stale-while-revalidate=9" },
      69_000,
      { kind: "validate", why: "stale", ttlMs: -9_000 },
    ],
    [
      "not with the stale that must be revalidated",
      { "cache-control": "max-age=60, must-revalidate, stale-while-revalidate=9" },
      61_000,
      { kind: "validate", why: "stale", ttlMs: -1_000 },
    ],
    [
      "not with the stale of a proxy-revalidate",
      { "cache-control": "max-age=60, proxy-revalidate, stale-while-revalidate=9" },
      61_000,
      { kind: "validate", why: "stale", ttlMs: -1_000 },
    ],
    [
      "not with the stale of an s-maxage",
      { "cache-control": "s-maxage=60, stale-while-revalidate=9" },
      61_000,
      { kind: "validate", why: "stale", ttlMs: -1_000 },
    ],
    [
      "with the fresh that must be revalidated later",
      { "cache-control": "max-age=60, must-revalidate" },
      1_000,
      { kind: "fresh", ageMs: 1_000, ttlMs: 59_000 },
    ],
    [
      "never with a no-cache unasked",
      { "cache-control": "max-age=60, no-cache, stale-while-revalidate=9" },
      0,
      { kind: "validate", why: "no-cache", ttlMs: 60_000 },
    ],
  ])("%s", (_title, fields, later, expected) => {
    expect(answerOf(candidate(fields), NOW + later)).toEqual(expected);
  });

  it.each<[string, number, Answer["kind"]]>([
    ["no-cache", 0, "validate"],
    ["max-age=0", 1, "validate"],
    ["max-age=5", 5_000, "fresh"],
    ["max-age=5", 5_001, "validate"],
    ["min-fresh=55", 5_000, "fresh"],
    ["min-fresh=55", 5_001, "validate"],
    ["max-stale=5", 65_000, "stale"],
    ["max-stale=5", 65_001, "validate"],
    ["max-stale", 3_600_000, "stale"],
    ["max-stale, max-age=30", 61_000, "validate"],
    ["only-if-cached", 1_000, "fresh"],
    ["only-if-cached", 61_000, "unsatisfiable"],
    ["only-if-cached, max-stale", 61_000, "stale"],
  ])("as it asks by %j after %d ms: %s", (cacheControl, later, expected) => {
    expect(answerOf(candidate({ "cache-control": "max-age=60" }), NOW + later, asked(cacheControl)).kind).toBe(
      expected,
    );
  });

  it("with nothing where nothing is kept, and with 504 where it wants nothing else", () => {
    expect(answerOf(undefined, NOW)).toEqual({ kind: "miss" });
    expect(answerOf(undefined, NOW, asked("only-if-cached"))).toEqual({ kind: "unsatisfiable" });
  });

  it("without the stale that its origin forbids, whatever it asks", () => {
    const bound = candidate({ "cache-control": "max-age=60, must-revalidate" });
    expect(answerOf(bound, NOW + 61_000, asked("max-stale")).kind).toBe("validate");
    expect(answerOnFailure(bound, "unreachable", NOW + 61_000, asked("stale-if-error=99"))).toBeUndefined();
  });
});

describe("when the origin fails", () => {
  const SIE = { "cache-control": "max-age=60, stale-if-error=100" };
  const NONE = { "cache-control": "max-age=60" };

  it.each([
    ["within stale-if-error of an error", SIE, "error-status", 159_999, true],
    ["after stale-if-error", SIE, "error-status", 160_000, false],
    ["within stale-if-error of a timeout", SIE, "timeout", 159_999, true],
    ["within the grace of no connection", NONE, "unreachable", 119_999, true],
    ["after the grace", NONE, "unreachable", 120_000, false],
    ["without stale-if-error, of an error", NONE, "error-status", 61_000, false],
    ["without stale-if-error, of a timeout", NONE, "timeout", 61_000, false],
    [
      "what must be revalidated",
      { "cache-control": "max-age=60, must-revalidate, stale-if-error=100" },
      "unreachable",
      61_000,
      false,
    ],
    ["what an s-maxage binds", { "cache-control": "s-maxage=60, stale-if-error=100" }, "unreachable", 61_000, false],
    ["what is no-cache", { "cache-control": "max-age=60, no-cache, stale-if-error=100" }, "unreachable", 1_000, false],
  ] as const)("gives the stale: %s", (_title, fields, failure, later, isGiven) => {
    const answer = answerOnFailure(candidate(fields), failure, NOW + later);
    expect(answer?.kind).toBe(isGiven ? "stale" : undefined);
  });

  it("takes 500, 502, 503 and 504 for failures", () => {
    expect([200, 404, 429, 499, 500, 501, 502, 503, 504, 505].filter(isErrorStatus)).toEqual([500, 502, 503, 504]);
  });

  it("gives nothing where nothing is kept", () => {
    expect(answerOnFailure(undefined, "unreachable", NOW)).toBeUndefined();
  });
});

describe("after a purge", () => {
  const FIELDS = { "cache-control": "max-age=60, stale-while-revalidate=9, stale-if-error=100", etag: '"a"' };
  const purged = (purge: PurgeVerdict) => ({ ...candidate(FIELDS), purge });

  it("a dead response is of no use to anyone", () => {
    expect(answerOf(purged({ kind: "dead" }), NOW)).toEqual({ kind: "miss" });
    expect(answerOnFailure(purged({ kind: "dead" }), "unreachable", NOW)).toBeUndefined();
    expect(retentionOf(purged({ kind: "dead" }), NOW)).toBe(0);
  });

  it("a soft one makes it stale from then on, with everything that is for the stale", () => {
    const soft = purged({ kind: "stale", since: NOW + 10_000 });
    expect(answerOf(soft, NOW + 12_000)).toEqual({ kind: "stale", ageMs: 12_000, ttlMs: -2_000, refresh: true });
    expect(answerOf(soft, NOW + 20_000)).toEqual({ kind: "validate", why: "stale", ttlMs: -10_000 });
    expect(answerOnFailure(soft, "timeout", NOW + 20_000)?.kind).toBe("stale");
  });
});

it("keeps a response while it is of use, and an hour longer where its origin can confirm it", () => {
  expect(retentionOf(candidate({ "cache-control": "max-age=60" }), NOW + 10_000)).toBe(110_000);
  expect(retentionOf(candidate({ "cache-control": "max-age=60, must-revalidate" }), NOW)).toBe(60_000);
  expect(retentionOf(candidate({ "cache-control": "max-age=60", etag: '"a"' }), NOW)).toBe(3_660_000);
});

it("never gives what is older than its lifetime unless something allows the stale, whatever is written", () => {
  const seconds = fc.integer({ min: 0, max: 200 });
  const flags = fc.subarray(["must-revalidate", "proxy-revalidate", "no-cache", "public", "immutable"]);
  const written = fc.record({ maxAge: seconds, swr: fc.option(seconds), sie: fc.option(seconds), flags });
  fc.assert(
    fc.property(written, seconds, ({ maxAge, swr, sie, flags: names }, later) => {
      const parts = [`max-age=${maxAge}`, ...names];
      if (swr !== null) parts.push(`stale-while-revalidate=${swr}`);
      if (sie !== null) parts.push(`stale-if-error=${sie}`);
      const kept = candidate({ "cache-control": parts.join(", ") });
      const answer = answerOf(kept, NOW + later * 1_000, NO_REQUEST_RULES);
      const isBound = names.some((name) => name !== "public" && name !== "immutable");
      const isFresh = later < maxAge && !names.includes("no-cache");
      const isSwr = !isBound && later >= maxAge && later - maxAge < (swr ?? 0);
      expect(answer.kind).toBe(isFresh ? "fresh" : isSwr ? "stale" : "validate");
      const onFailure = answerOnFailure(kept, "error-status", NOW + later * 1_000);
      expect(onFailure !== undefined).toBe(!isBound && later - maxAge < (sie ?? 0));
    }),
    { numRuns: 2_000 },
  );
});
