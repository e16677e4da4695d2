/** The fields of a request, by lower-case name; null for one that it hasn't. Several lines of one name are one value. */
export interface SelectingFields {
  get(name: string): string | null;
}

/** The lower-case names that a `Vary` lists, sorted, each once; "*": no other request can be answered by it. */
export type Vary = readonly string[] | "*";

/** RFC 9110, section 5.1. */
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** Lists of preferences, in which neither case nor order has a meaning; RFC 9111, section 4.1 allows to compare them as such. */
const PREFERENCES: ReadonlySet<string> = new Set(["accept", "accept-encoding", "accept-language"]);

/**
 * Reads a `Vary`. A "*" anywhere counts, also beside names, and what is no field name counts as one: what it was meant to say is not
 * known, so nobody else may have the response.
 */
export function varyOf(field: string | null): Vary {
  const names = new Set<string>();
  for (const member of (field ?? "").toLowerCase().split(",")) {
    const name = member.trim();
    if (name === "") continue;
    if (name === "*" || !FIELD_NAME.test(name)) return "*";
    names.add(name);
  }
  return [...names].sort();
}

/**
 * Which variant a request asks for: equal for two requests exactly if every field that the response varies by has the same value, or is
 * absent, in both (RFC 9111, section 4.1). Each part has its length before it, so that no value can look like two.
 *
 * @param fields as they are sent to the origin: it varies by what it sees, and not by what was taken out.
 */
export function variantOf(vary: readonly string[], fields: SelectingFields): string {
  let key = "";
  for (const name of vary) {
    const value = selectingValue(name, fields.get(name));
    key += value === null ? `${name.length}:${name}-` : `${name.length}:${name}${value.length}:${value}`;
  }
  return key;
}

/**
 * A field's value as it selects a variant: trimmed, and of `Accept`, `Accept-Encoding` and `Accept-Language` in lower case and in order.
 * On a route that caches these three have to be sent upstream as they come out of here: an origin that looks at the order would else make
 * one client's answer the other's.
 */
export function selectingValue(name: string, value: string | null): string | null {
  const trimmed = value?.trim() ?? null;
  // Within quotes case and commas have a meaning.
  if (trimmed === null || !PREFERENCES.has(name) || trimmed.includes('"')) return trimmed;
  const members = trimmed.toLowerCase().replace(/\s+/g, "").split(",");
  return [...new Set(members)]
    .filter((member) => member !== "")
    .sort()
    .join(", ");
}
