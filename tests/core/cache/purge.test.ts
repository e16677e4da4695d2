import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  NO_PURGES,
  notePurge,
  parsePurgePrefix,
  prunePurges,
  purgeVerdict,
  type PurgeEpochs,
  type PurgeTarget,
  type Purgeable,
} from "../../../objects/control-plane/purge.ts";
import { invalidatedUrls } from "../../../worker/cache/invalidation.ts";
import { invalidatedGroups, tagsOf } from "../../../worker/cache/tags.ts";
import { NOW, reading } from "./fixtures.ts";

const RESPONSE: Purgeable = {
  requestedAt: NOW,
  bytesRequestedAt: NOW,
  key: "k",
  route: "r",
  tags: ["a", "b"],
  method: "GET",
  host: "a.test:8080",
  path: "/api/data/1",
};
const HOUR = 3_600_000;

function prefix(value: string): PurgeTarget {
  const parsed = parsePurgePrefix(value);
  if (parsed === undefined) throw new Error(`${value} is no prefix`);
  return { kind: "prefix", prefix: parsed };
}

it.each<[PurgeTarget, boolean]>([
  [{ kind: "all" }, true],
  [{ kind: "key", value: "k" }, true],
  [{ kind: "key", value: "K" }, false],
  [{ kind: "route", value: "r" }, true],
  [{ kind: "route", value: "s" }, false],
  [{ kind: "tag", value: "b" }, true],
  [{ kind: "tag", value: "B" }, false],
  [prefix("GET::/api/data"), true],
  [prefix("::/"), true],
  [prefix("GET:a.test:8080:/api"), true],
  [prefix("GET:A.TEST:8080:/api"), true],
  [prefix("GET:a.test:/api"), false],
  [prefix("GET:b.test:8080:/api"), false],
  [prefix("POST::/api"), false],
  [prefix("GET::/other"), false],
  [prefix("GET::/api/data/1/2"), false],
])("a purge of %j reaches it: %s", (target, isReached) => {
  const hard = purgeVerdict(RESPONSE, notePurge(NO_PURGES, target, false, NOW + 1));
  const soft = purgeVerdict(RESPONSE, notePurge(NO_PURGES, target, true, NOW + 1));
  expect([hard, soft]).toEqual(
    isReached ? [{ kind: "dead" }, { kind: "stale", since: NOW + 1 }] : [{ kind: "alive" }, { kind: "alive" }],
  );
});

it.each([
  ["GET::/api/data", { method: "GET", host: "", path: "/api/data" }],
  ["::/", { method: "", host: "", path: "/" }],
  ["GET:/x", { method: "GET", host: "", path: "/x" }],
  ["GET:A.test:8080:/x:/y", { method: "GET", host: "a.test:8080", path: "/x:/y" }],
  ["GET:[::1]:80:/x", { method: "GET", host: "[::1]:80", path: "/x" }],
  ["/x", undefined],
  ["GET::x", undefined],
  ["get::/x", undefined],
  ["", undefined],
])("the prefix %j is %j", (text, expected) => {
  expect(parsePurgePrefix(text)).toEqual(expected);
});

function begun(at: number) {
  return { ...RESPONSE, requestedAt: at, bytesRequestedAt: at };
}

describe("a purge", () => {
  const all: PurgeTarget = { kind: "all" };
  const tag: PurgeTarget = { kind: "tag", value: "a" };

  it("kills what was asked for before it and answered after it, and a second more for the clocks", () => {
    const epochs = notePurge(NO_PURGES, tag, false, NOW);
    const kinds = [-1, 0, 1_000, 1_001].map((ms) => purgeVerdict(begun(NOW + ms), epochs).kind);
    expect(kinds).toEqual(["dead", "dead", "dead", "alive"]);
  });

  it("that is hard is not undone by a soft one, nor a soft one by an earlier hard one", () => {
    const hardThenSoft = notePurge(notePurge(NO_PURGES, tag, false, NOW + 1), tag, true, NOW + 9);
    expect(purgeVerdict(RESPONSE, hardThenSoft)).toEqual({ kind: "dead" });
    const later = begun(NOW + 5_000);
    const softLater = notePurge(notePurge(NO_PURGES, all, false, NOW), tag, true, NOW + 9_000);
    expect(purgeVerdict(later, softLater)).toEqual({ kind: "stale", since: NOW + 9_000 });
  });

  it("that is hard is not undone by an origin that confirms the bytes, as a soft one is", () => {
    const confirmedSince = { ...RESPONSE, requestedAt: NOW + HOUR };
    expect(purgeVerdict(confirmedSince, notePurge(NO_PURGES, tag, false, NOW))).toEqual({ kind: "dead" });
    expect(purgeVerdict(confirmedSince, notePurge(NO_PURGES, tag, true, NOW))).toEqual({ kind: "alive" });
  });

  it("does not count back when a clock does", () => {
    const epochs = notePurge(notePurge(NO_PURGES, tag, false, NOW + 9), tag, false, NOW - HOUR);
    expect(purgeVerdict(RESPONSE, epochs)).toEqual({ kind: "dead" });
  });

  it("is forgotten once nothing that old is kept", () => {
    const epochs = notePurge(NO_PURGES, tag, false, NOW);
    expect(prunePurges(epochs, NOW + HOUR - 1, HOUR).tags.size).toBe(1);
    expect(prunePurges(epochs, NOW + HOUR, HOUR)).toEqual(NO_PURGES);
  });

  it("brings nothing back by being forgotten for want of room", () => {
    const target = fc.oneof(
      fc.constant(all),
      fc.record({ kind: fc.constantFrom("key", "route", "tag"), value: fc.constantFrom("a", "b", "c", "k", "r") }),
      fc.constantFrom("GET::/api", "::/", "POST::/").map(prefix),
    );
    const purge = fc.record({ target, isSoft: fc.boolean(), at: fc.integer({ min: 0, max: 60_000 }) });
    const response = fc.record({
      requestedAt: fc.integer({ min: 30_000, max: 60_000 }).map((ms) => NOW + ms),
      bytesRequestedAt: fc.integer({ min: 0, max: 30_000 }).map((ms) => NOW + ms),
      key: fc.constantFrom("k", "a"),
      route: fc.constantFrom("r", "b"),
      tags: fc.subarray(["a", "b", "c"]),
    });
    const severity = { alive: 0, stale: 1, dead: 2 };
    fc.assert(
      fc.property(
        fc.array(purge, { maxLength: 12 }),
        response,
        fc.integer({ min: 0, max: 6 }),
        (purges, some, most) => {
          let epochs: PurgeEpochs = NO_PURGES;
          let pruned: PurgeEpochs = NO_PURGES;
          for (const { target: of, isSoft, at } of purges) {
            epochs = notePurge(epochs, of, isSoft, NOW + at);
            pruned = prunePurges(notePurge(pruned, of, isSoft, NOW + at), NOW + 60_000, HOUR, {
              names: most,
              prefixes: most % 3,
            });
            const names = pruned.keys.size + pruned.routes.size + pruned.tags.size;
            expect(names).toBeLessThanOrEqual(most);
            expect(pruned.prefixes.size).toBeLessThanOrEqual(most % 3);
          }
          const kept = { ...RESPONSE, ...some };
          const before = severity[purgeVerdict(kept, epochs).kind];
          expect(severity[purgeVerdict(kept, pruned).kind]).toBeGreaterThanOrEqual(before);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

it.each<[Record<string, string>, readonly string[]]>([
  [{ "cache-tag": "a, b,,a" }, ["a", "b"]],
  [{ "surrogate-key": "a  b a" }, ["a", "b"]],
  [{ "cache-groups": '"a b", "C"' }, ["a b", "C"]],
  [{ "cache-groups": '"a", token' }, []],
  [{ "cache-groups": '"a", (' }, []],
  [{ "cache-tag": "a", "surrogate-key": "b", "cache-groups": '"c"' }, ["a", "b", "c"]],
  [{}, []],
])("the tags of %j are %j", (fields, expected) => {
  expect(tagsOf(reading(fields))).toEqual(expected);
});

it.each([
  ["POST", 200, ["g"]],
  ["POST", 303, ["g"]],
  ["DELETE", 204, ["g"]],
  ["POST", 400, []],
  ["GET", 200, []],
  ["HEAD", 200, []],
])("%s with %d invalidates the groups %j", (method, status, expected) => {
  expect(invalidatedGroups(method, status, reading({ "cache-group-invalidation": '"g"' }))).toEqual(expected);
});

describe("an unsafe request", () => {
  const url = "https://a.test/x?q=1";

  it.each<[string, number, string | null, string | null, readonly string[]]>([
    ["POST", 200, null, null, [url]],
    ["PUT", 201, "/made", null, [url, "https://a.test/made"]],
    ["DELETE", 204, null, null, [url]],
    ["M-SEARCH", 200, null, null, [url]],
    ["POST", 303, "other?y#z", "/x?q=1", [url, "https://a.test/other?y"]],
    ["POST", 200, "https://b.test/x", "//b.test/y", [url]],
    ["POST", 200, "http://a.test/x", "https://a.test:8443/x", [url]],
    ["POST", 200, "https://a.test:443/y", "http://[", [url, "https://a.test/y"]],
    ["POST", 404, "/made", null, []],
    ["POST", 500, null, null, []],
    ["GET", 200, "/made", "/made", []],
    ["HEAD", 200, null, null, []],
    ["OPTIONS", 200, null, null, []],
    ["TRACE", 200, null, null, []],
  ])(
    "%s with %d, Location %j and Content-Location %j invalidates %j",
    (method, status, location, contentLocation, expected) => {
      expect(invalidatedUrls({ method, url, status, location, contentLocation })).toEqual(expected);
    },
  );
});
