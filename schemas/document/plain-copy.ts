import type { ConfigProblem } from "../config-types.ts";
import { describeValue } from "./describe-value.ts";
import { formatPath, type Path } from "./path.ts";

/** A configuration is a handful of levels deep; this only stops a document from exhausting the stack. */
export const MAX_DEPTH = 32;

// Assigning these on a plain object reaches its prototype instead of the object (prototype pollution).
const FORBIDDEN_KEYS = new Set(["__proto__", "constructor", "prototype"]);

const NO_COPY = Symbol("no copy");

/**
 * Copies a document into objects without a prototype, leaving out and reporting what JSON cannot hold (functions, dates,
 * NaN), the keys `__proto__`, `constructor` and `prototype` wherever they are, and anything nested too deep.
 * A property whose value is undefined counts as absent.
 */
export function plainCopy(document: unknown): { readonly value: unknown; readonly problems: readonly ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  const value = copy(document, [], problems);
  return { value: value === NO_COPY ? undefined : value, problems };
}

function copy(value: unknown, path: Path, problems: ConfigProblem[]): unknown {
  if (value === null || typeof value === "string" || typeof value === "boolean" || Number.isFinite(value)) return value;
  if (path.length > MAX_DEPTH) {
    problems.push({ path: formatPath(path), got: "deeper nesting", wanted: `at most ${MAX_DEPTH} levels` });
    return NO_COPY;
  }
  if (Array.isArray(value)) {
    return value
      .map((item, index) => copy(item, [...path, index], problems))
      .map((item) => (item === NO_COPY ? null : item));
  }
  if (!isPlainObject(value)) {
    problems.push({ path: formatPath(path), got: describeOther(value), wanted: "a value that JSON can hold" });
    return NO_COPY;
  }
  const result: Record<string, unknown> = Object.create(null);
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue;
    const itemPath = [...path, key];
    if (FORBIDDEN_KEYS.has(key)) {
      problems.push({
        path: formatPath(itemPath),
        got: `the key "${key}"`,
        wanted: "another name: this one reaches into every object",
      });
      continue;
    }
    const copied = copy(item, itemPath, problems);
    if (copied !== NO_COPY) result[key] = copied;
  }
  return result;
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // An object of another realm (a worker's, a test runner's) has a foreign Object.prototype, whose own prototype is null.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function describeOther(value: unknown): string {
  if (typeof value === "number") return String(value);
  return typeof value === "object" ? "an object that is no plain one" : describeValue(value);
}
