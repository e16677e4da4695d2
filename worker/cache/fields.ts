/** Header fields of a message: lower-case names, each with one value, as `Headers` lists them; only `set-cookie` comes several times. */
export type Fields = readonly (readonly [name: string, value: string])[];

/** Something that knows the values of header fields by their lower-case names; null for a field that is not there. */
export interface FieldReader {
  get(name: string): string | null;
}

/** The fields of a message. */
export function fieldsOf(headers: Headers): Fields {
  return [...headers];
}

/** Reads fields by name; several of one name become one value, as RFC 9110, section 5.3 allows. */
export function readerOf(fields: Fields): FieldReader {
  const values = new Map<string, string>();
  for (const [name, value] of fields) {
    const before = values.get(name);
    values.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return { get: (name) => values.get(name) ?? null };
}

/** The members of a comma-separated list, trimmed, without the empty ones. Not for values that may hold quoted commas. */
export function listOf(value: string | null): readonly string[] {
  if (value === null) return [];
  return value
    .split(",")
    .map((member) => member.trim())
    .filter((member) => member !== "");
}
