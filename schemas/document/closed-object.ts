import * as v from "valibot";
import { nearestName } from "./nearest-name.ts";

/** How an object explains itself to whoever wrote something else. */
export interface ObjectWords {
  /** What is wanted instead of what is no object. Default "an object". */
  readonly wanted?: string;
  /** Keys that are at home in another object, with what to do about each. */
  readonly elsewhere?: Readonly<Record<string, string>>;
}

/**
 * An object with these keys and no others. Unlike `v.strictObject` it reports every unknown key, with the known one
 * that was probably meant, and does not take an array for an object.
 */
export function closedObject<const Entries extends v.ObjectEntries>(
  entries: Entries,
  { wanted = "an object", elsewhere = {} }: ObjectWords = {},
) {
  return v.pipe(
    plainObject(wanted),
    v.looseObject(entries, (issue) => (issue.path === undefined ? wanted : "a value: the field is required")),
    v.rawCheck(({ dataset, addIssue }) => {
      const input: unknown = dataset.value;
      if (typeof input !== "object" || input === null) return;
      // One for all issues: a copy each would exhaust the memory of an isolate on a few thousand unknown keys.
      const record = { ...input };
      for (const [key, value] of Object.entries(input)) {
        if (Object.hasOwn(entries, key)) continue;
        addIssue({
          message: Object.hasOwn(elsewhere, key) ? (elsewhere[key] ?? "") : unknownKey(key, Object.keys(entries)),
          path: [{ type: "object", origin: "key", input: record, key, value }],
        });
      }
    }),
  );
}

/** An object from names of the user's choice to values of one kind. Keys are checked, never changed. */
export function objectOf<const Key extends v.GenericSchema<string, string>, const Value extends v.GenericSchema>(
  key: Key,
  value: Value,
  wanted: string,
) {
  return v.pipe(plainObject("an object"), v.record(key, value, wanted));
}

function plainObject(wanted: string) {
  return v.custom<Record<string, unknown>>(
    (value) => typeof value === "object" && value !== null && !Array.isArray(value),
    wanted,
  );
}

/** What to want instead of an unknown key. */
function unknownKey(key: string, known: readonly string[]): string {
  const nearest = nearestName(key, known);
  return nearest === undefined ? `a known key, one of: ${known.join(", ")}` : `a known key; did you mean "${nearest}"?`;
}
