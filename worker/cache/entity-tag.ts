/** A list of entity tags as `If-None-Match` holds it. Quotes may be missing: some clients and origins forget them. */
const TAGS = /(W\/)?("[^"]*"|[^\s",]+)/g;

/** Whether two entity tags name the same content, by the weak comparison of RFC 9110, section 8.8.3.2. */
export function matchesWeakly(one: string, other: string): boolean {
  return opaque(one) === opaque(other);
}

/** Whether two entity tags name the same bytes: the same, and neither weak. */
export function matchesStrongly(one: string, other: string): boolean {
  return !one.startsWith("W/") && !other.startsWith("W/") && opaque(one) === opaque(other);
}

/** The entity tags of a list; "*" alone means any. */
export function entityTags(list: string): readonly string[] | "*" {
  return list.trim() === "*" ? "*" : [...list.matchAll(TAGS)].map(([tag]) => tag);
}

function opaque(tag: string): string {
  const bare = tag.trim().replace(/^W\//, "");
  return bare.startsWith('"') ? bare : `"${bare}"`;
}
