import { parseList, type List } from "structured-headers";
import { listOf, type FieldReader } from "./fields.ts";

/** A response with more tags than this isn't kept: it could not be purged by all of them. */
export const MAX_TAGS = 1_000;

/** Fields that are for caches alone and are taken out of what a client gets. `Cache-Groups` is for caches at the client too. */
export const TAG_FIELDS: readonly string[] = ["cache-tag", "surrogate-key"];

/**
 * What a response can be purged by: `Cache-Tag` (separated by commas), `Surrogate-Key` (by spaces) and `Cache-Groups` (RFC 9875: a list of
 * strings; anything else in it makes it void). Names keep their case, each is given once.
 */
export function tagsOf(fields: FieldReader): readonly string[] {
  const keys = (fields.get("surrogate-key") ?? "").split(/[\s,]+/).filter((key) => key !== "");
  return [...new Set([...listOf(fields.get("cache-tag")), ...keys, ...groupsOf(fields.get("cache-groups"))])];
}

/**
 * The groups that a response to an unsafe request invalidates (RFC 9875, section 3); none for any other, which could not have changed
 * anything. To be asked only where all of an origin belongs to one party: it speaks for every group of it.
 */
export function invalidatedGroups(method: string, status: number, fields: FieldReader): readonly string[] {
  const isSafe = method === "GET" || method === "HEAD" || method === "OPTIONS" || method === "TRACE";
  return isSafe || status < 200 || status > 399 ? [] : groupsOf(fields.get("cache-group-invalidation"));
}

/** The groups in a list of them; none where anything in it is no string. */
export function groupsOf(value: string | null): readonly string[] {
  if (value === null) return [];
  const groups: string[] = [];
  for (const [item] of parse(value)) {
    if (typeof item !== "string") return [];
    groups.push(item);
  }
  return groups;
}

function parse(value: string): List {
  try {
    return parseList(value);
  } catch {
    return [];
  }
}
