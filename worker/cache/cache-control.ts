/**
 * Directives of a `Cache-Control` field by lower-case name. The value is what was written behind "=", without its quotes; "" for a
 * directive that has none; undefined for one that is written so that it can't be read.
 */
export type Directives = ReadonlyMap<string, string | undefined>;

const NONE: Directives = new Map();
/** RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** RFC 9111, section 1.2.2: what is more than a cache can count means the greatest that it can. */
const MAX_SECONDS = 2_147_483_648;

/**
 * Reads a `Cache-Control` field (RFC 9111, section 5.2). Names are taken in any case and commas within quotes are no separators: a reader
 * that is not so careful stores `Private` and finds a `max-age` in somebody's extension.
 *
 * Of a name given twice the lower number counts, and whatever can't be read counts as the lowest. A quote that is never closed could
 * hide anything, so it means `no-store`.
 */
export function parseCacheControl(field: string | null): Directives {
  if (field === null || field === "") return NONE;
  const directives = new Map<string, string | undefined>();
  for (const member of membersOf(field)) {
    if (member === undefined) return new Map([["no-store", ""]]);
    const equals = member.indexOf("=");
    const written = (equals === -1 ? member : member.slice(0, equals)).toLowerCase();
    const name = written.trim();
    if (!TOKEN.test(name)) continue;
    const value = equals === -1 ? "" : written === name ? unquoted(member.slice(equals + 1)) : undefined;
    directives.set(name, directives.has(name) ? lower(directives.get(name), value) : value);
  }
  return directives;
}

/**
 * A directive's number of seconds, in ms. Undefined where it is not given; 0 where it is and is no whole number of seconds, as RFC 9111,
 * section 4.2.1 encourages.
 */
export function durationOf(directives: Directives, name: string): number | undefined {
  if (!directives.has(name)) return undefined;
  return secondsOf(directives.get(name)) * 1_000;
}

function secondsOf(value: string | undefined): number {
  return value !== undefined && /^\d+$/.test(value) ? Math.min(Number(value), MAX_SECONDS) : 0;
}

function lower(one: string | undefined, other: string | undefined): string | undefined {
  return secondsOf(one) <= secondsOf(other) ? one : other;
}

/** Undefined for one within quotes that space stands before, or that something stands behind. */
function unquoted(value: string): string | undefined {
  if (!value.startsWith('"')) return /[\s"]/.test(value) ? undefined : value;
  const [, inner] = /^"((?:[^"\\]|\\.)*)"$/.exec(value) ?? [];
  return inner?.replace(/\\(.)/g, "$1");
}

/** The members between commas that no quotes hold; undefined for the one whose quote is never closed. */
function* membersOf(field: string): Generator<string | undefined> {
  let start = 0;
  let isQuoted = false;
  for (let at = 0; at < field.length; at++) {
    const character = field.charAt(at);
    if (isQuoted && character === "\\") at++;
    else if (character === '"') isQuoted = !isQuoted;
    else if (character === "," && !isQuoted) {
      yield field.slice(start, at).trim();
      start = at + 1;
    }
  }
  yield isQuoted ? undefined : field.slice(start).trim();
}
