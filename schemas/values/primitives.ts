import * as v from "valibot";

/** True or false. */
export const flag = v.boolean("true or false");

/** A whole number, both ends included. */
export function integer(
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
  wanted = max === Number.MAX_SAFE_INTEGER ? `a whole number, at least ${min}` : `a whole number from ${min} to ${max}`,
) {
  return v.pipe(v.number(wanted), v.safeInteger(wanted), v.minValue(min, wanted), v.maxValue(max, wanted));
}

/** One of a few texts. */
export function oneOf<const Options extends readonly string[]>(options: Options) {
  return v.picklist(options, `one of ${options.map((option) => `"${option}"`).join(", ")}`);
}

/** A list of at least one. `some` is wanted instead of an empty one, `wanted` instead of what is no list. */
export function listOf<const Item extends v.GenericSchema>(
  item: Item,
  wanted: string,
  some = `${wanted}, at least one`,
) {
  return v.pipe(v.array(item, wanted), v.minLength(1, some));
}

// RFC 9110 5.6.2: header names and methods are tokens.
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;

/** The name of a header or a cookie (RFC 6265 4.1.1 takes the same letters), in the case that it was written in. */
export function token(wanted: string) {
  return v.pipe(v.string(wanted), v.regex(TOKEN, wanted));
}

/** A header's name, in the case that it was written in. */
export const headerName = token('the name of a header, such as "x-api-key"');

// TRACE echoes a request's headers to scripts and CONNECT opens a tunnel: the gateway answers both with 405.
const NEVER_FORWARDED = new Set(["TRACE", "CONNECT"]);
const METHOD = 'a method such as "GET" (TRACE and CONNECT are never forwarded)';

/** Methods, upper-cased. */
export const methodList = listOf(
  v.pipe(
    v.string(METHOD),
    v.regex(TOKEN, METHOD),
    v.toUpperCase(),
    v.check((method) => !NEVER_FORWARDED.has(method), METHOD),
  ),
  "an array of methods",
);

/** The name of a backend or a route: it appears in addresses, logs and metrics. */
export const entityName = v.pipe(
  v.string("a name: letters, digits, dots, dashes and underscores, at most 64"),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "a name: letters, digits, dots, dashes and underscores, at most 64"),
);
