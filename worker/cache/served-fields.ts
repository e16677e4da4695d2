import { currentAge } from "./age.ts";
import type { Fields } from "./fields.ts";
import type { StoredResponse } from "./stored-response.ts";
import { TAG_FIELDS } from "./tags.ts";

/**
 * The fields of a stored response as a client gets them: with the `Age` that it has now (RFC 9111, section 5.1), never with another `Date`
 * or `Expires`, and without the fields that are for caches alone.
 */
export function servedFields(stored: StoredResponse, now: number): Fields {
  const ageMs = currentAge(stored, now);
  const fields = stored.fields.filter(([name]) => name !== "age" && !TAG_FIELDS.includes(name));
  return [...fields, ["age", String(Math.floor(ageMs / 1_000))]];
}
