import { characterSet, type CharacterSet } from "./character-set.ts";

/** A pattern's structure, as far as it decides how many ways there are to match. */
export type PatternNode =
  | { readonly kind: "character"; readonly set: CharacterSet }
  /** `^`, `$`, `\b`, `\B`: takes nothing. */
  | { readonly kind: "assertion"; readonly isStart: boolean }
  | { readonly kind: "sequence"; readonly items: readonly PatternNode[] }
  | { readonly kind: "either"; readonly options: readonly PatternNode[] }
  | { readonly kind: "repeat"; readonly item: PatternNode; readonly min: number; readonly max: number };

export type ParsedPattern =
  | { readonly ok: true; readonly node: PatternNode }
  /** `reason` names the syntax that the check cannot follow. */
  | { readonly ok: false; readonly reason: string };

const CLASS = /\[(?:\\.|[^\]\\])*\]/uy;
const ESCAPE = /\\(?:[pP]\{[^}]*\}|u\{[0-9a-f]+\}|u[dD][89abAB]..\\u[dD][c-fC-F]..|u[0-9a-f]{4}|x[0-9a-f]{2}|c.|.)/iuy;
const QUANTIFIER = /(?:([*+?])|\{(\d+)(,(\d*))?\})\??/y;
const GROUP = /\((?:\?:|\?<[^=!>]+>)?/y;
const CHARACTER = /[^]/uy;

interface Reading {
  readonly source: string;
  readonly sets: Map<string, CharacterSet>;
  at: number;
  refusal: string | undefined;
}

/**
 * Reads the structure of a pattern that has already compiled with the `u` flag. Understood: characters, classes, groups,
 * alternatives, quantifiers, `^`, `$`, `\b`, `\B`. Not understood, and so refused: back-references, lookaround and inline flags.
 */
export function parsePattern(source: string): ParsedPattern {
  const reading: Reading = { source, sets: new Map(), at: 0, refusal: undefined };
  const node = readEither(reading);
  return reading.refusal === undefined ? { ok: true, node } : { ok: false, reason: reading.refusal };
}

function readEither(reading: Reading): PatternNode {
  const options = [readSequence(reading)];
  while (take(reading, "|")) options.push(readSequence(reading));
  return options.length === 1 ? (options[0] ?? EMPTY) : { kind: "either", options };
}

function readSequence(reading: Reading): PatternNode {
  const items: PatternNode[] = [];
  while (
    reading.refusal === undefined &&
    reading.at < reading.source.length &&
    !/[|)]/.test(reading.source.charAt(reading.at))
  ) {
    items.push(readQuantified(reading));
  }
  return { kind: "sequence", items };
}

function readQuantified(reading: Reading): PatternNode {
  const item = readAtom(reading);
  const quantifier = match(reading, QUANTIFIER);
  if (quantifier === undefined) return item;
  const [, symbol, least, comma, most] = quantifier;
  if (symbol !== undefined)
    return { kind: "repeat", item, min: symbol === "+" ? 1 : 0, max: symbol === "?" ? 1 : Number.POSITIVE_INFINITY };
  const min = Number(least);
  if (comma === undefined) return { kind: "repeat", item, min, max: min };
  return { kind: "repeat", item, min, max: most === "" ? Number.POSITIVE_INFINITY : Number(most) };
}

function readAtom(reading: Reading): PatternNode {
  const { source, at } = reading;
  if (/\\[1-9k]/y.test(source.slice(at, at + 2))) return refuse(reading, "a back-reference");
  if (/\(\?(?:<?[=!])/y.test(source.slice(at, at + 4))) return refuse(reading, "lookahead or lookbehind");
  if (take(reading, "^")) return { kind: "assertion", isStart: true };
  if (take(reading, "$") || take(reading, "\\b") || take(reading, "\\B")) return { kind: "assertion", isStart: false };
  if (source.charAt(at) === "(") return readGroup(reading);
  const taken = match(reading, CLASS) ?? match(reading, ESCAPE) ?? match(reading, CHARACTER);
  const text = taken?.[0] ?? "";
  const set = reading.sets.get(text) ?? characterSet(text);
  reading.sets.set(text, set);
  return { kind: "character", set };
}

function readGroup(reading: Reading): PatternNode {
  match(reading, GROUP);
  if (reading.source.charAt(reading.at) === "?") return refuse(reading, "an inline flag");
  const node = readEither(reading);
  take(reading, ")");
  return node;
}

const EMPTY: PatternNode = { kind: "sequence", items: [] };

function refuse(reading: Reading, reason: string): PatternNode {
  reading.refusal = reason;
  return EMPTY;
}

function take(reading: Reading, text: string): boolean {
  if (!reading.source.startsWith(text, reading.at)) return false;
  reading.at += text.length;
  return true;
}

function match(reading: Reading, pattern: RegExp): RegExpExecArray | undefined {
  pattern.lastIndex = reading.at;
  const found = pattern.exec(reading.source);
  if (found === null) return undefined;
  reading.at += found[0].length;
  return found;
}
