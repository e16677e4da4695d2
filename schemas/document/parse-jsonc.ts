import { createScanner, parseTree, type Node, type ParseError } from "jsonc-parser";
import type { ConfigProblem } from "../config-types.ts";
import { quote } from "./describe-value.ts";
import { formatPath, type Path } from "./path.ts";
import { MAX_DEPTH } from "./plain-copy.ts";

/** What a text says, as far as it can be read. */
export interface ParsedText {
  /** Undefined when the text does not parse. */
  readonly value: unknown;
  readonly problems: readonly ConfigProblem[];
}

// jsonc-parser declares its token kinds and error codes as const enums, which a file compiled by itself cannot read.
const TOKEN = { openBrace: 1, closeBrace: 2, openBracket: 3, closeBracket: 4, end: 17 } as const;
const VALUE_EXPECTED = 4;
const WANTED: Readonly<Record<number, string>> = {
  1: "a JSON value",
  2: "a number as JSON writes it",
  3: "a key in double quotes",
  4: "a value",
  5: 'a ":" after the key',
  6: 'a "," between two entries',
  7: 'a "}" that ends the object',
  8: 'a "]" that ends the array',
  9: "nothing after the document",
  11: 'a "*/" that ends the comment',
  12: "a double quote that ends the text (a line break inside is written \\n)",
  13: "a number as JSON writes it",
  14: "four hexadecimal digits after \\u",
  15: 'one of \\" \\\\ \\/ \\b \\f \\n \\r \\t \\u after a backslash',
  16: "control characters written as \\u escapes",
};

/** Reads JSON with comments and trailing commas. Reports every place that does not parse, and every key given twice. */
export function parseJsonc(text: string): ParsedText {
  // Editors on Windows begin files with a byte order mark; RFC 8259 8.1 lets a parser ignore it.
  const source = text.startsWith("\uFEFF") ? text.slice(1) : text;
  const place = placeIn(source);
  const tooDeep = offsetBelow(source, MAX_DEPTH);
  if (tooDeep !== undefined) {
    return {
      value: undefined,
      problems: [{ path: place(tooDeep), got: "deeper nesting", wanted: `at most ${MAX_DEPTH} levels` }],
    };
  }
  const errors: ParseError[] = [];
  const root = parseTree(source, errors, { allowTrailingComma: true });
  if (errors.length > 0 || root === undefined) {
    const found = errors.length > 0 ? errors : [{ error: VALUE_EXPECTED, offset: source.length, length: 0 }];
    const problems = found.map(({ error, offset, length }) => ({
      path: place(offset),
      got: offset >= source.length ? "the end of the text" : quote(source.slice(offset, offset + Math.max(1, length))),
      wanted: WANTED[error] ?? "JSON",
    }));
    return { value: undefined, problems };
  }
  const problems: ConfigProblem[] = [];
  return { value: toValue(root, { path: [], place, problems }), problems };
}

interface Reading {
  readonly path: Path;
  readonly place: (offset: number) => string;
  readonly problems: ConfigProblem[];
}

function toValue(node: Node, reading: Reading): unknown {
  const children = node.children ?? [];
  if (node.type === "array")
    return children.map((child, index) => toValue(child, { ...reading, path: [...reading.path, index] }));
  if (node.type !== "object") return node.value;
  // Without a prototype "__proto__" is a key like any other, for the validation to find and refuse.
  const result: Record<string, unknown> = Object.create(null);
  const offsets = new Map<string, number>();
  for (const { children: [keyNode, valueNode] = [] } of children) {
    if (keyNode === undefined || valueNode === undefined) continue;
    const key = String(keyNode.value);
    const path = [...reading.path, key];
    const first = offsets.get(key);
    if (first !== undefined) {
      const got = `the key twice, at ${reading.place(first)} and ${reading.place(keyNode.offset)}`;
      reading.problems.push({ path: formatPath(path), got, wanted: "each key once" });
    }
    offsets.set(key, keyNode.offset);
    result[key] = toValue(valueNode, { ...reading, path });
  }
  return result;
}

function placeIn(source: string): (offset: number) => string {
  return (offset) => {
    const before = source.slice(0, offset).split(/\r\n|\r|\n/);
    return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
  };
}

/** Where the text nests deeper than this, if it does. parseTree recurses, so this is found before it runs. */
function offsetBelow(source: string, maxDepth: number): number | undefined {
  const scanner = createScanner(source, true);
  let depth = 0;
  for (let token: number = scanner.scan(); token !== TOKEN.end; token = scanner.scan()) {
    if (token === TOKEN.openBrace || token === TOKEN.openBracket) depth++;
    if (token === TOKEN.closeBrace || token === TOKEN.closeBracket) depth--;
    if (depth > maxDepth) return scanner.getTokenOffset();
  }
  return undefined;
}
