import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sharingOf } from "../../../objects/dedup/sharing.ts";
import { DEFAULT_CACHE, type CachePolicy } from "../../../schemas/cache-policy.ts";
import { headFactsOf } from "../../../worker/cache/head-facts.ts";
import { keyedCookies } from "../../../worker/cache/keyed-cookies.ts";
import { storabilityOf } from "../../../worker/cache/storability.ts";
import { NOW, dated, received } from "./fixtures.ts";

const LENIENT: CachePolicy = {
  ...DEFAULT_CACHE,
  ttlMs: 300_000,
  respectCacheControl: false,
  staleWhileRevalidateMs: 60_000,
  authorization: "public",
};

describe("a response to one of many who wait", () => {
  it.each<[string, Record<string, string>, string]>([
    ["that is fresh is for all", { "cache-control": "max-age=60" }, "all"],
    ["that is stale by its Age is its owner's", { "cache-control": "max-age=60", age: "60" }, "alone"],
    [
      "that is stale by its Age may be for all",
      { "cache-control": "max-age=60, stale-while-revalidate=9", age: "60" },
      "all",
    ],
    ["that is stale by its Date is its owner's", { "cache-control": "max-age=60", date: dated(-61) }, "alone"],
    ["that says nothing is its owner's", {}, "alone"],
    ["that is private is its owner's", { "cache-control": "PRIVATE, max-age=60" }, "alone"],
    ["that is no-store is its owner's", { "cache-control": "no-store" }, "alone"],
    ["that is no-cache is its owner's", { "cache-control": "no-cache", etag: '"a"' }, "alone"],
    [
      "that is no-cache to us is its owner's",
      { "cdn-cache-control": "no-cache", "cache-control": "max-age=60", etag: '"a"' },
      "alone",
    ],
    ["that sets a cookie is its owner's", { "cache-control": "public, max-age=60", "set-cookie": "a=b" }, "alone"],
    ["that varies by all is its owner's", { "cache-control": "max-age=60", vary: "accept, *" }, "alone"],
  ])("%s", (_title, fields, expected) => {
    const facts = headFactsOf(received(fields), NOW, DEFAULT_CACHE);
    expect(sharingOf(facts, { coalesce: "fresh" }).kind).toBe(expected);
  });

  it("loses its cookies for everybody where the route takes them out", () => {
    const response = received({ "cache-control": "max-age=60", "set-cookie": "a=b" });
    expect(headFactsOf(response, NOW, DEFAULT_CACHE).hasSetCookie).toBe(true);
    expect(headFactsOf(response, NOW, { ...DEFAULT_CACHE, stripSetCookie: true }).hasSetCookie).toBe(false);
  });

  it("is its owner's where only its credentials were the reason, also among those who wait", () => {
    const facts = headFactsOf(received({ "cache-control": "max-age=0" }, { hasAuthorization: true }), NOW, LENIENT);
    expect(sharingOf(facts, { coalesce: "arrived-before-headers" })).toEqual({ kind: "alone" });
  });

  it("counts the time that it was under way", () => {
    expect(headFactsOf(received({ "cache-control": "max-age=60" }), NOW - 9_000, DEFAULT_CACHE).ttlMs).toBe(51_000);
  });

  it("is never for all when it may not be kept, or names anybody, whatever the route and the origin say", () => {
    const personal = fc.constantFrom(
      "private",
      "Private",
      'private="x"',
      "no-store",
      "NO-STORE",
      "no-cache",
      'no-cache="a"',
    );
    const harmless = fc.constantFrom(
      "max-age=60",
      "s-maxage=60",
      "public",
      "must-revalidate",
      "stale-while-revalidate=60",
      'x="private"',
    );
    const scene = fc.record({
      directives: fc.array(fc.oneof(harmless, harmless, personal), { maxLength: 4 }),
      cookie: fc.boolean(),
      vary: fc.constantFrom("", "accept", "*", "accept, *"),
      status: fc.constantFrom(200, 206, 301, 304, 401, 404, 407, 500, 503),
      hasAuthorization: fc.boolean(),
      coalesce: fc.constantFrom("fresh" as const, "arrived-before-headers" as const),
      policy: fc.constantFrom(DEFAULT_CACHE, LENIENT, { ...LENIENT, respectCacheControl: true }),
    });
    fc.assert(
      fc.property(scene, ({ directives, cookie, vary, status, hasAuthorization, coalesce, policy }) => {
        const fields = {
          "cache-control": directives.join(", "),
          ...(cookie ? { "set-cookie": "sid=1" } : {}),
          ...(vary === "" ? {} : { vary }),
        };
        const response = received(fields, { status, hasAuthorization });
        const sharing = sharingOf(headFactsOf(response, NOW, policy), { coalesce });
        const isPersonal = directives.some((one) => /^(?:private|no-)/i.test(one)) || cookie || vary.includes("*");
        const isOdd = [206, 304, 401, 407, 500, 503].includes(status);
        const isOpen = directives.some((one) => /^(?:public|s-maxage|must-revalidate)/.test(one));
        if (isPersonal || isOdd || (hasAuthorization && !isOpen)) expect(["alone", "error"]).toContain(sharing.kind);
        if (isPersonal && directives.some((one) => /^(?:private|no-store)/i.test(one))) {
          expect(storabilityOf(response, policy).kind).toBe("pass");
        }
        if (sharing.kind === "all") expect(storabilityOf(response, policy).kind).toBe("store");
      }),
      { numRuns: 3_000 },
    );
  });
});

it.each([
  [null, ["a"], null],
  ["x=1; y=2", ["a"], null],
  ["b=2; x=1; a=1", ["a", "b"], "a=1; b=2"],
  ["a=1; b=2", ["a", "b"], "a=1; b=2"],
  ["a=1;a=2", ["a"], "a=1; a=2"],
  ["aa=1; a=2; xa=3", ["a"], "a=2"],
  ["a", ["a"], null],
  ["a=", ["a"], "a="],
])("of the cookies %j those named %j are keyed and sent: %j", (field, names, expected) => {
  expect(keyedCookies(field, names)).toBe(expected);
});
