import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { selectingValue, variantOf, varyOf, type SelectingFields } from "../../../objects/dedup/variant.ts";

function fields(values: Readonly<Record<string, string>>): SelectingFields {
  return { get: (name) => values[name] ?? null };
}

it.each([
  [null, []],
  ["", []],
  ["Foo, bar ,FOO,", ["bar", "foo"]],
  ["*", "*"],
  ["*, *", "*"],
  [", *", "*"],
  ["Foo, *", "*"],
  ["*, Foo", "*"],
  ["a b", "*"],
  ["f\u00fc", "*"],
])("Vary: %j is %j", (field, expected) => {
  expect(varyOf(field)).toEqual(expected);
});

describe("a variant", () => {
  it.each<[string, Record<string, string>, Record<string, string>, boolean]>([
    ["the same value", { foo: "1" }, { foo: "1" }, true],
    ["another value", { foo: "1" }, { foo: "2" }, false],
    ["the value and none", { foo: "1" }, {}, false],
    ["an empty value and none", { foo: "" }, {}, false],
    ["none", {}, {}, true],
    ["other fields", { foo: "1", x: "1" }, { foo: "1", x: "2" }, true],
    ["space around it", { foo: " 1, 2 " }, { foo: "1, 2" }, true],
    ["another case", { foo: "a" }, { foo: "A" }, false],
    ["another order", { foo: "a, b" }, { foo: "b, a" }, false],
    ["languages in another order", { "accept-language": "en, de" }, { "accept-language": "de,en" }, true],
    ["languages in another case", { "accept-language": "en, de" }, { "accept-language": "eN, De" }, true],
    ["languages with space", { "accept-language": "en;q=0.5, de" }, { "accept-language": " en ; q=0.5 ,   de" }, true],
    ["another weight", { "accept-language": "en;q=0.5" }, { "accept-language": "en" }, false],
    ["codings in another order", { "accept-encoding": "gzip, br" }, { "accept-encoding": "br, gzip" }, true],
    ["a quoted parameter in another case", { accept: 'a/b;c="D"' }, { accept: 'a/b;c="d"' }, false],
  ])("with %s", (_title, one, other, isSame) => {
    const vary = ["accept", "accept-encoding", "accept-language", "foo"];
    expect(variantOf(vary, fields(one)) === variantOf(vary, fields(other))).toBe(isSame);
  });

  it("is told apart exactly by the values, whatever is in them", () => {
    const values = fc.dictionary(fc.constantFrom("a", "b", "ab"), fc.stringMatching(/^[ab01:-]{0,4}$/));
    const vary = fc.subarray(["a", "ab", "b"]);
    fc.assert(
      fc.property(vary, values, values, (names, one, other) => {
        const isSame = names.every((name) => (one[name] ?? null) === (other[name] ?? null));
        expect(variantOf(names, fields(one)) === variantOf(names, fields(other))).toBe(isSame);
      }),
      { numRuns: 2_000 },
    );
  });

  it("is asked for again by the value that is sent upstream for it", () => {
    const value = fc.stringMatching(/^[a-zA-Z*/;=,. "0-9-]{0,20}$/);
    fc.assert(
      fc.property(fc.constantFrom("accept", "accept-encoding", "accept-language", "foo"), value, (name, written) => {
        const sent = selectingValue(name, written) ?? "";
        expect(selectingValue(name, sent)).toBe(sent);
        expect(variantOf([name], fields({ [name]: sent }))).toBe(variantOf([name], fields({ [name]: written })));
      }),
    );
  });
});
