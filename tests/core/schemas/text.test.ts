import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseConfigText } from "../../../schemas/index.ts";
import { parseJsonc } from "../../../schemas/document/parse-jsonc.ts";

// The same cases every time: leave the seed out to look for others.
fc.configureGlobal({ seed: 20_261_109 });

describe("a text", () => {
  it("may have comments, trailing commas and a byte order mark", () => {
    const text =
      '\uFEFF// first\n{ /* second */ "routes": [ { "prefix": "/a", "target": "https://a.example.com", }, ], }\n';
    expect(parseConfigText(text)).toEqual({ ok: true, config: expect.anything(), warnings: [] });
  });

  it.each([
    ["", "line 1, column 1", "the end of the text", "a value"],
    ["// nothing", "line 1, column 11", "the end of the text", "a value"],
    ["{", "line 1, column 2", "the end of the text", 'a "}" that ends the object'],
    ['{\n  "routes": [', "line 2, column 14", "the end of the text", 'a "]" that ends the array'],
    ['{\r\n  "a" 1\r\n}', "line 2, column 7", '"1"', 'a ":" after the key'],
    ['{ "a": 1 "b": 2 }', "line 1, column 10", '"\\"b\\""', 'a "," between two entries'],
    ['{ "a": tru }', "line 1, column 8", '"tru"', "a JSON value"],
    ["{ a: 1 }", "line 1, column 3", '"a"', "a JSON value"],
    ["{ 'a': 1 }", "line 1, column 3", "\"'a'\"", "a JSON value"],
    [
      '{ "a": "b }',
      "line 1, column 8",
      '"\\"b }"',
      "a double quote that ends the text (a line break inside is written \\n)",
    ],
    [
      '{ "a": "\\q" }',
      "line 1, column 8",
      '"\\"\\\\q\\""',
      'one of \\" \\\\ \\/ \\b \\f \\n \\r \\t \\u after a backslash',
    ],
    ['{ "a": "\\u12" }', "line 1, column 8", '"\\"\\\\u12\\""', "four hexadecimal digits after \\u"],
    ['{ "a": "\u0001" }', "line 1, column 8", '"\\"\\u0001\\""', "control characters written as \\u escapes"],
    ['{ "a": 1. }', "line 1, column 8", '"1."', "a number as JSON writes it"],
    ['{ "a": NaN }', "line 1, column 8", '"NaN"', "a JSON value"],
    ["{} {}", "line 1, column 4", '"{"', "nothing after the document"],
    ["{ /* }", "line 1, column 3", '"/* }"', 'a "*/" that ends the comment'],
  ])("that does not parse is refused with line and column: %j", (text, path, got, wanted) => {
    expect(parseConfigText(text)).toMatchObject({ ok: false });
    const { problems } = parseJsonc(text);
    expect(problems).toContainEqual({ path, got, wanted });
  });

  it("reports every place that does not parse", () => {
    const result = parseConfigText('{\n  "a": tru,\n  "b": 1 "c": 2\n}');
    expect(result).toEqual({
      ok: false,
      problems: [
        { path: "line 2, column 8", got: '"tru"', wanted: "a JSON value" },
        { path: "line 2, column 11", got: '","', wanted: "a value" },
        { path: "line 3, column 10", got: '"\\"c\\""', wanted: 'a "," between two entries' },
      ],
    });
  });

  it("says each key once, and is told so along with everything else", () => {
    const text =
      '{\n  "routes": [],\n  "cors": { "a": 1, "a": 2 },\n  "routes": [{ "prefix": "a", "backend": "b" }]\n}';
    expect(parseConfigText(text)).toEqual({
      ok: false,
      problems: [
        { path: "cors.a", got: "the key twice, at line 3, column 13 and line 3, column 21", wanted: "each key once" },
        { path: "routes", got: "the key twice, at line 2, column 3 and line 4, column 3", wanted: "each key once" },
        { path: "routes[0].prefix", got: '"a"', wanted: 'a path that starts with "/"' },
        { path: "routes[0].backend", got: '"b"', wanted: 'the name of a backend; there are no "backends"' },
      ],
    });
  });

  it("cannot reach a prototype by its keys", () => {
    const text = '{ "__proto__": { "polluted": true }, "x": { "__proto__": null } }';
    const wanted = "another name: this one reaches into every object";
    expect(parseConfigText(text)).toMatchObject({
      ok: false,
      problems: [
        { path: "__proto__", got: 'the key "__proto__"', wanted },
        { path: "x.__proto__", got: 'the key "__proto__"', wanted },
        { path: "x" },
      ],
    });
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });

  it.each([
    ["[".repeat(100_000), "line 1, column 33"],
    [`${'{"a":'.repeat(100_000)}1`, "line 1, column 161"],
  ])("nests at most 32 levels", (text, path) => {
    expect(parseConfigText(text)).toEqual({
      ok: false,
      problems: [{ path, got: "deeper nesting", wanted: "at most 32 levels" }],
    });
  });

  it("has only numbers that a document can hold", () => {
    expect(parseConfigText('{ "cors": { "a": 1e999 } }')).toEqual({
      ok: false,
      problems: [{ path: "cors.a", got: "Infinity", wanted: "a value that JSON can hold" }],
    });
  });
});

describe("the reader of texts", () => {
  const anyJson = fc.json({ maxDepth: 5 });

  it("reads JSON as JSON.parse does", () => {
    fc.assert(
      fc.property(anyJson, fc.constantFrom(undefined, 2, "\t"), (text, indent) => {
        const expected: unknown = JSON.parse(text);
        expect(JSON.stringify(parseJsonc(JSON.stringify(expected, null, indent)).value)).toBe(JSON.stringify(expected));
      }),
      { numRuns: 2000 },
    );
  });

  it("refuses what JSON.parse refuses, but for comments and trailing commas", () => {
    const pieces = fc.constantFrom(
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      '"a"',
      '"',
      "1",
      "-",
      ".",
      "e",
      "0",
      "true",
      "null",
      "\\",
      "\n",
      "x",
    );
    const broken = fc.oneof(
      fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join("")),
      fc.tuple(anyJson, fc.nat(), fc.constantFrom("", ",", '"', "}", "]", "0", "\\")).map(([text, at, piece]) => {
        const cut = at % (text.length + 1);
        return text.slice(0, cut) + piece + text.slice(cut + 1);
      }),
    );
    fc.assert(
      fc.property(broken, (text) => {
        const withoutTrailingCommas = text.replaceAll(/([^\s,:[{]\s*),(\s*[}\]])/g, "$1$2");
        fc.pre(!text.includes("//") && !text.includes("/*") && !/"[^"]*,\s*[}\]]/.test(text));
        const isRead = parseJsonc(text).problems.every(({ wanted }) => wanted === "each key once");
        expect([text, isRead]).toEqual([text, isJson(withoutTrailingCommas)]);
      }),
      { numRuns: 5000 },
    );
  });
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
