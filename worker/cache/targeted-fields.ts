import { parseDictionary, type Dictionary } from "structured-headers";
import { parseCacheControl, type Directives } from "./cache-control.ts";
import type { FieldReader } from "./fields.ts";

/** Directives whose value is a number of seconds; every other that we know is there or not. */
const SECONDS: ReadonlySet<string> = new Set(["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"]);
const FLAGS: ReadonlySet<string> = new Set([
  "must-revalidate",
  "must-understand",
  "no-cache",
  "no-store",
  "private",
  "proxy-revalidate",
  "public",
]);
const SURROGATE = "surrogate-control";

/**
 * The directives of the first field of a list that says something (RFC 9213): `Cache-Control` and `Expires` are then not asked. Undefined
 * where none does.
 *
 * Such a field is a dictionary of structured fields and not a `Cache-Control`: one that can't be parsed, is empty, or gives a directive
 * that we know a value of another type is as if it were not there.
 *
 * `Surrogate-Control`, which is older and that origins still send, has a grammar of its own; see `surrogateDirectives`.
 *
 * @param names in lower case, the most specific first.
 */
export function targetedDirectives(fields: FieldReader, names: readonly string[]): Directives | undefined {
  for (const name of names) {
    const value = fields.get(name);
    const directives =
      value === null ? undefined : name === SURROGATE ? surrogateDirectives(value, fields) : read(value);
    if (directives !== undefined) return directives;
  }
  return undefined;
}

/**
 * What `Surrogate-Control` says to us (W3C, "Edge Architecture Specification", 2001): `no-store` and `max-age`. A directive with a parameter
 * is for a device of that name, which is not ours: as if it were not there. We are remote, and `max-age=60+30` is fresh for 60 s. What
 * `Cache-Control` calls `private` stays so: those who send both are used to Fastly, which says the same.
 */
function surrogateDirectives(value: string, fields: FieldReader): Directives | undefined {
  const directives = new Map<string, string>();
  for (const [name, said] of parseCacheControl(value)) {
    if (said?.includes(";") === true) continue;
    if (name === "no-store" || name === "no-store-remote") directives.set("no-store", "");
    if (name === "max-age") directives.set(name, said?.replace(/\+\d+$/, "") ?? "");
  }
  if (directives.size === 0) return undefined;
  if (parseCacheControl(fields.get("cache-control")).has("private")) directives.set("private", "");
  return directives;
}

function read(value: string): Directives | undefined {
  const dictionary = parse(value);
  if (dictionary === undefined || dictionary.size === 0) return undefined;
  const directives = new Map<string, string>();
  for (const [name, [member]] of dictionary) {
    if (SECONDS.has(name)) {
      if (typeof member !== "number" || !Number.isInteger(member)) return undefined;
      // A negative number is an integer, and no time: it can't be read as seconds and so counts as 0.
      directives.set(name, String(member));
    } else if (FLAGS.has(name)) {
      if (typeof member !== "boolean" && !isFieldList(name, member)) return undefined;
      if (member !== false) directives.set(name, "");
    }
  }
  return directives;
}

/** `private="Set-Cookie"` means `private` to us: fields that are kept back one by one are not worth the risk. */
function isFieldList(name: string, member: unknown): boolean {
  return (name === "private" || name === "no-cache") && typeof member === "string";
}

function parse(value: string): Dictionary | undefined {
  try {
    return parseDictionary(value);
  } catch {
    return undefined;
  }
}
