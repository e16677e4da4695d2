import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { durationOf, parseCacheControl } from "../../../worker/cache/cache-control.ts";
import { DEFAULT_CACHE } from "../../../schemas/cache-policy.ts";
import { rulesOf } from "../../../worker/cache/response-rules.ts";
import { NO_REQUEST_RULES, requestRulesOf } from "../../../worker/cache/request-rules.ts";
import { reading } from "./fixtures.ts";

const TARGETED = DEFAULT_CACHE.targetedFields;

describe("max-age", () => {
  it.each([
    ["max-age=3600", 3_600_000],
    ["MAX-AGE=3600", 3_600_000],
    ["max-age=003600", 3_600_000],
    ['max-age="3600"', 3_600_000],
    ["a, max-age=3600 , b=c", 3_600_000],
    ["max-age=99999999999", 2_147_483_648_000],
    ["max-age=60, max-age=30", 30_000],
    ["max-age=30, max-age=60", 30_000],
    ["max-age=30, max-age=a", 0],
    ["max-age", 0],
    ["max-age=", 0],
    ["max-age=-1", 0],
    ["max-age=3600.0", 0],
    ["max-age='3600'", 0],
    ["max-age=100a", 0],
    ["max-age =3600", 0],
    ["max-age= 3600", 0],
    ['max-age="3600" x', 0],
    ['extension="max-age=3600"', undefined],
    ['extension="max-age=3600", max-age=1', 1_000],
    ['max-age=1, extension="\\", max-age=3600"', 1_000],
    ["s-maxage=3600", undefined],
    ["xmax-age=3600", undefined],
    ["", undefined],
  ])("of %j is %j ms", (field, expected) => {
    expect(durationOf(parseCacheControl(field), "max-age")).toBe(expected);
  });
});

it.each([
  ["Private, max-age=60", "isPrivate"],
  ['private="set-cookie", max-age=60', "isPrivate"],
  ["private =1, max-age=60", "isPrivate"],
  ["No-Store", "isNoStore"],
  ['max-age=60, extension="never closed, private', "isNoStore"],
  ["nO-cAcHe", "isNoCache"],
  ['no-cache="a, b"', "isNoCache"],
  ["PROXY-REVALIDATE", "mustRevalidate"],
  ["must-revalidate", "mustRevalidate"],
  ["must-understand", "mustUnderstand"],
  ["public", "isPublic"],
] as const)("%j means %s", (field, rule) => {
  expect(rulesOf(reading({ "cache-control": field }), TARGETED)[rule]).toBe(true);
});

it("a directive means the same in whatever case and among whatever others", () => {
  const token = fc.stringMatching(/^[a-z][a-z-]{0,12}$/).filter((name) => name !== "private" && name !== "no-store");
  const others = fc.array(fc.tuple(token, fc.constantFrom("", "=1", '="a, private"', '="\\""')), { maxLength: 4 });
  fc.assert(
    fc.property(others, others, fc.array(fc.boolean(), { minLength: 7, maxLength: 7 }), (before, after, upper) => {
      const written = "private"
        .split("")
        .map((letter, index) => (upper[index] === true ? letter.toUpperCase() : letter));
      const list = (pairs: typeof before) => pairs.map(([name, value]) => name + value);
      const without = [...list(before), ...list(after)].join(", ");
      const field = [...list(before), written.join(""), ...list(after)].join(", ");
      expect(parseCacheControl(without).has("private")).toBe(false);
      expect(parseCacheControl(field).has("private")).toBe(true);
    }),
  );
});

describe("a targeted field", () => {
  it.each([
    ["max-age=3600", 3_600_000],
    ["max-age=2147483648", 2_147_483_648_000],
    ["max-age=99999999999", 2_147_483_648_000],
    ["foobar, max-age=3600", 3_600_000],
    ["max-age=3600;parameter", 3_600_000],
    ["max-age=-5", 0],
    ["max-age=0", 0],
  ])("%j speaks for Cache-Control", (field, expected) => {
    const rules = rulesOf(reading({ "cdn-cache-control": field, "cache-control": "no-store, max-age=1" }), TARGETED);
    expect({ from: rules.from, maxAgeMs: rules.maxAgeMs, isNoStore: rules.isNoStore }).toEqual({
      from: "targeted",
      maxAgeMs: expected,
      isNoStore: false,
    });
  });

  it.each([
    "",
    "max-age=10000, &&&&&",
    'max-age="10000"',
    "max-age=1.5",
    "MaX-aGe=3600",
    "max-age =100",
    "max-age= 100",
    "max-age=1,",
    "no-store=1",
  ])("%j is as if it weren't there", (field) => {
    const rules = rulesOf(reading({ "cdn-cache-control": field, "cache-control": "max-age=7" }), TARGETED);
    expect({ from: rules.from, maxAgeMs: rules.maxAgeMs }).toEqual({ from: "cache-control", maxAgeMs: 7_000 });
  });

  it.each([
    ["no-store", "isNoStore"],
    ["private", "isPrivate"],
    ['private="x"', "isPrivate"],
    ["no-cache", "isNoCache"],
    ["must-revalidate", "mustRevalidate"],
  ] as const)("%j forbids what Cache-Control allows", (field, rule) => {
    const rules = rulesOf(reading({ "cdn-cache-control": field, "cache-control": "max-age=7" }), TARGETED);
    expect(rules[rule]).toBe(true);
  });

  it("of the gateway's own name comes first, and the next one where it says nothing", () => {
    const maxAge = (own: string) =>
      rulesOf(reading({ "sluice-cache-control": own, "cdn-cache-control": "max-age=2" }), TARGETED).maxAgeMs;
    expect([maxAge("max-age=1"), maxAge("&")]).toEqual([1_000, 2_000]);
  });
});

describe("Surrogate-Control", () => {
  it.each<readonly [surrogate: string, control: string, from: string, maxAgeMs: number | undefined, forbidden: string]>(
    [
      ["max-age=3600", "no-store, max-age=1", "targeted", 3_600_000, ""],
      ["MaX-aGe=3600", "max-age=1", "targeted", 3_600_000, ""],
      ["max-age=3600+600", "max-age=1", "targeted", 3_600_000, ""],
      ['content="ESI/1.0", max-age=5', "max-age=1", "targeted", 5_000, ""],
      ["max-age=0", "max-age=1", "targeted", 0, ""],
      ["max-age=x", "max-age=1", "targeted", 0, ""],
      ["no-store", "max-age=1", "targeted", undefined, "no-store"],
      ["no-store-remote", "max-age=1", "targeted", undefined, "no-store"],
      ["max-age=3600", "Private", "targeted", 3_600_000, "private"],
      ["max-age=3600;another", "max-age=1", "cache-control", 1_000, ""],
      ["no-store, max-age=3600;another", "max-age=1", "targeted", undefined, "no-store"],
      ['content="ESI/1.0"', "max-age=1", "cache-control", 1_000, ""],
      ["", "max-age=1", "cache-control", 1_000, ""],
    ],
  )("%j beside %j", (surrogate, control, from, maxAgeMs, forbidden) => {
    const rules = rulesOf(reading({ "surrogate-control": surrogate, "cache-control": control }), TARGETED);
    const why = rules.isNoStore ? "no-store" : rules.isPrivate ? "private" : "";
    expect([rules.from, rules.maxAgeMs, why]).toEqual([from, maxAgeMs, forbidden]);
  });

  it("counts where no newer field says anything", () => {
    const fields = { "cdn-cache-control": "max-age=2", "surrogate-control": "max-age=3" };
    expect(rulesOf(reading(fields), TARGETED).maxAgeMs).toBe(2_000);
  });
});

describe("a request's directives", () => {
  const asked = { respectRequestDirectives: true };

  it("count for nothing unless the route says so", () => {
    const fields = reading({ "cache-control": "no-cache, no-store", pragma: "no-cache" });
    expect(requestRulesOf(fields, DEFAULT_CACHE)).toEqual(NO_REQUEST_RULES);
  });

  it("are read", () => {
    const field = "no-cache, no-store, only-if-cached, max-age=1, min-fresh=2, max-stale=3, stale-if-error=4";
    expect(requestRulesOf(reading({ "cache-control": field }), asked)).toEqual({
      isNoCache: true,
      isNoStore: true,
      isOnlyIfCached: true,
      maxAgeMs: 1_000,
      minFreshMs: 2_000,
      maxStaleMs: 3_000,
      staleIfErrorMs: 4_000,
    });
  });

  it("allow anything stale by a max-stale without a number", () => {
    expect(requestRulesOf(reading({ "cache-control": "max-stale" }), asked).maxStaleMs).toBe(Infinity);
  });

  it("are Pragma's where there is no Cache-Control", () => {
    expect(requestRulesOf(reading({ pragma: "no-cache" }), asked).isNoCache).toBe(true);
    expect(requestRulesOf(reading({ pragma: "no-cache", "cache-control": "max-age=5" }), asked).isNoCache).toBe(false);
  });
});
