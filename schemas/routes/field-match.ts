import * as v from "valibot";
import type { HeaderMatch } from "../config-types.ts";
import { closedObject, objectOf } from "../document/closed-object.ts";
import { checkPattern } from "../patterns/check-pattern.ts";
import { headerName } from "../values/primitives.ts";

const WANTED = 'a text (the exact value), true (present), or { "matches": "pattern" }';
const PATTERN = "a regular expression";

const pattern = v.pipe(
  v.string(PATTERN),
  v.minLength(1, `${PATTERN} of at least one character; true matches any value`),
  v.rawCheck(({ dataset, addIssue }) => {
    const fault = dataset.typed && dataset.value !== "" ? checkPattern(dataset.value) : undefined;
    if (fault !== undefined) addIssue({ message: fault });
  }),
);

/** A regular expression for a value. */
export const MatchesSchema = closedObject({ matches: pattern });

const condition = v.union([v.string(WANTED), v.literal(true, WANTED), MatchesSchema], WANTED);
type Condition = v.InferOutput<typeof condition>;

const NAMES = "an object from names to what their values must be";

/** Conditions on headers, by name in any case. */
export const HeaderConditionsSchema = v.pipe(
  objectOf(headerName, condition, NAMES),
  // Only here, not as the record's key: "__PROTO__" in lower case would be assigned to a prototype.
  v.transform((conditions) => toMatches(conditions, (name) => name.toLowerCase())),
  v.check(
    (matches) => new Set(matches.map(({ name }) => name)).size === matches.length,
    "each header once, in whichever case",
  ),
);

/** Conditions on query parameters, by name. */
export const QueryConditionsSchema = v.pipe(
  objectOf(v.pipe(v.string(NAMES), v.nonEmpty("the name of a parameter")), condition, NAMES),
  v.transform((conditions) => toMatches(conditions, (name) => name)),
);

function toMatches(
  conditions: Readonly<Record<string, Condition>>,
  nameOf: (written: string) => string,
): readonly HeaderMatch[] {
  return Object.entries(conditions).map(([written, wanted]) => {
    const name = nameOf(written);
    if (wanted === true) return { name, kind: "present", value: "" };
    if (typeof wanted === "string") return { name, kind: "exact", value: wanted };
    return { name, kind: "regex", value: wanted.matches };
  });
}
