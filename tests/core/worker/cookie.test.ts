import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readCookie, withoutCookie } from "../../../worker/cookie.ts";

it.each([
  ["sid=a", "sid", "a"],
  ["x=1; sid=a; y=2", "sid", "a"],
  ["x=1;sid=a", "sid", "a"],
  [" sid = a ;", "sid", "a"],
  ["sid=a=b", "sid", "a=b"],
  ['sid="a"', "sid", "a"],
  ['sid=""', "sid", null],
  ['sid="', "sid", '"'],
  ["sid=%61b%63", "sid", "abc"],
  ["sid=%C3%A4", "sid", "\u00e4"],
  ["sid=100%", "sid", "100%"],
  ["sid=%ff", "sid", "%ff"],
  ["sid=first; sid=second", "sid", null],
  ['sid=same; x=1; sid="same"', "sid", "same"],
  ["SID=a", "sid", null],
  ["sidx=a", "sid", null],
  ["xsid=a", "sid", null],
  ["x=sid=a", "sid", null],
  ["sid", "sid", null],
  ["sid=", "sid", null],
  ["sid=; sid=second", "sid", null],
  ["=a", "sid", null],
  ["", "sid", null],
  [null, "sid", null],
  [`sid=${"a".repeat(4096)}`, "sid", "a".repeat(4096)],
  [`sid=${"a".repeat(4097)}`, "sid", null],
  [`${";".repeat(16_379)}sid=a`, "sid", "a"],
  [`${";".repeat(16_380)}sid=a`, "sid", null],
  [`sid=a;${";".repeat(16_384)}sid=b`, "sid", null],
])("of %j reads %s as %j", (field, name, value) => {
  expect(readCookie(field, name)).toBe(value);
});

it("finds every cookie that a browser could have sent, whatever else there is", () => {
  const word = fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/);
  const others = fc.array(fc.tuple(word, word), { maxLength: 5 });
  fc.assert(
    fc.property(word, word, others, others, (name, value, before, after) => {
      const others = [...before, ...after].filter(([other]) => other !== name);
      const at = Math.min(before.length, others.length);
      const pairs = others.toSpliced(at, 0, [name, value]);
      expect(readCookie(pairs.map(([key, text]) => `${key}=${text}`).join("; "), name)).toBe(value);
    }),
  );
});

describe("a cookie is taken out of a field", () => {
  it.each([
    ["a=1; sid=2; b=3", "a=1; b=3"],
    ["sid=2; b=3", "b=3"],
    ["a=1; sid=2", "a=1"],
    ["sid=2", ""],
    ["sid=2; sid=3", ""],
    ["a=1;sid =2;  b=3", "a=1;  b=3"],
    ["sidx=1; xsid=2; a=sid=3", "sidx=1; xsid=2; a=sid=3"],
    ["sid; a=1", "a=1"],
    ['a="1; sid=2"; b=3', 'a="1; sid=2"; b=3'],
    ["a=caf\ufffd; sid=2", "a=caf\ufffd; sid=2"],
    ["", ""],
  ])("%s: %s is left", (field, left) => {
    expect(withoutCookie(field, "sid")).toBe(left);
  });
});
