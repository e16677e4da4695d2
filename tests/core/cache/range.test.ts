import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rangeOf } from "../../../worker/cache/range.ts";
import { NOW, dated, reading, stored } from "./fixtures.ts";

/** What of ten bytes is given; their numbers, or the kind of answer. */
function given(range: string, fields: Record<string, string> = {}, kept: Record<string, string> = {}, bytes = 10) {
  const answer = rangeOf("GET", reading({ range, ...fields }), stored(kept, 200, bytes), NOW);
  return answer.kind === "part" ? "0123456789".slice(answer.first, answer.last + 1) : answer.kind;
}

it.each([
  ["bytes=0-1", "01"],
  ["bytes=1-", "123456789"],
  ["bytes=-1", "9"],
  ["bytes=-99", "0123456789"],
  ["bytes=9-9", "9"],
  ["bytes=5-99", "56789"],
  ["BYTES=0-0", "0"],
  ["bytes=0-1, 2-3", "0123"],
  ["bytes=4-6,0-5", "0123456"],
  ["bytes=0-1,20-30", "01"],
  ["bytes=0-1,5-6", "whole"],
  ["bytes=2-1", "whole"],
  ["bytes=a-b", "whole"],
  ["bytes=-", "whole"],
  ["bytes=", "whole"],
  ["bytes=0-1,x", "whole"],
  ["items=0-1", "whole"],
  [`bytes=${Array.from({ length: 17 }, () => "0-0").join()}`, "whole"],
  ["bytes=10-", "unsatisfiable"],
  ["bytes=-0", "unsatisfiable"],
  ["bytes=10-20,30-40", "unsatisfiable"],
])("%j of ten bytes is %s", (range, expected) => {
  expect(given(range)).toBe(expected);
});

it("says where the part is, and how long the whole where there is none", () => {
  const kept = stored({}, 200, 10);
  expect(rangeOf("GET", reading({ range: "bytes=2-4" }), kept, NOW)).toEqual({
    kind: "part",
    first: 2,
    last: 4,
    contentRange: "bytes 2-4/10",
  });
  expect(rangeOf("GET", reading({ range: "bytes=10-" }), kept, NOW)).toEqual({
    kind: "unsatisfiable",
    contentRange: "bytes */10",
  });
});

it("knows no parts of another method, of another status, or where none is asked for", () => {
  const range = reading({ range: "bytes=0-1" });
  expect(rangeOf("HEAD", range, stored({}), NOW)).toEqual({ kind: "whole" });
  expect(rangeOf("GET", range, stored({}, 404), NOW)).toEqual({ kind: "whole" });
  expect(rangeOf("GET", reading({}), stored({}), NOW)).toEqual({ kind: "whole" });
});

describe("If-Range", () => {
  const LM = { "last-modified": dated(-9), date: dated(0) };

  it.each<[string, string, Record<string, string>, string]>([
    ["the same tag", '"a"', { etag: '"a"' }, "01"],
    ["another tag", '"b"', { etag: '"a"' }, "whole"],
    ["a weak tag", 'W/"a"', { etag: 'W/"a"' }, "whole"],
    ["a tag where there is none", '"a"', {}, "whole"],
    ["the same date", dated(-9), LM, "01"],
    ["a later date", dated(-8), LM, "whole"],
    ["a date of the second of the response", dated(0), { "last-modified": dated(0), date: dated(0) }, "whole"],
    ["neither", "x", LM, "whole"],
  ])("with %s", (_title, ifRange, kept, expected) => {
    expect(given("bytes=0-1", { "if-range": ifRange }, kept)).toBe(expected);
  });
});

it("never gives a byte that isn't there, whatever is asked for", () => {
  const edge = fc.oneof(
    fc.constant(""),
    fc.integer({ min: 0, max: 12 }).map(String),
    fc.constant("99999999999999999999"),
  );
  const members = fc.array(fc.tuple(edge, edge), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(members, fc.integer({ min: 0, max: 10 }), (list, size) => {
      const range = `bytes=${list.map((pair) => pair.join("-")).join(",")}`;
      const answer = rangeOf("GET", reading({ range }), stored({}, 200, size), NOW);
      if (answer.kind !== "part") return;
      expect(answer.first).toBeGreaterThanOrEqual(0);
      expect(answer.last).toBeGreaterThanOrEqual(answer.first);
      expect(answer.last).toBeLessThan(size);
      expect(answer.contentRange).toBe(`bytes ${answer.first}-${answer.last}/${size}`);
    }),
    { numRuns: 2_000 },
  );
});
