import * as v from "valibot";
import { nearestName } from "./nearest-name.ts";

const plainObject = v.custom<Record<string, unknown>>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "an object",
);

/**
 * An object with these keys and no others. Unlike `v.strictObject` it reports every unknown key, with the known one
 * that was probably meant, and does not take an array for an object.
 */
export function closedObject<const Entries extends v.ObjectEntries>(entries: Entries) {
  return v.pipe(
    plainObject,
    v.looseObject(entries, (issue) => (issue.path === undefined ? "an object" : "a value: the field is required")),
    v.rawCheck(({ dataset, addIssue }) => {
      const input: unknown = dataset.value;
      if (typeof input !== "object" || input === null) return;
      // One for all issues: a copy each would exhaust the memory of an isolate on a few thousand unknown keys.
      const record = { ...input };
      for (const [key, value] of Object.entries(input)) {
        if (Object.hasOwn(entries, key)) continue;
        addIssue({
          message: unknownKey(key, Object.keys(entries)),
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
  return v.pipe(plainObject, v.record(key, value, wanted));
}

/** What to want instead of an unknown key. */
function unknownKey(key: string, known: readonly string[]): string {
  const nearest = nearestName(key, known);
  return nearest === undefined ? `a known key, one of: ${known.join(", ")}` : `a known key; did you mean "${nearest}"?`;
}
