import type { QueryRule } from "../../schemas/cache-policy.ts";

/**
 * The query that is part of the key, and that is sent upstream in the place of the client's: what is not keyed must not be seen by the
 * origin. Parameters are split at "&" alone and compared as they are written; an origin that also splits at ";" sees nothing that was not
 * keyed with the parameter that it stands in.
 *
 * @param query with its "?", or empty.
 */
export function keyedQuery(query: string, rule: QueryRule): string {
  if (query.length < 2 || (rule.kind === "all" && !rule.isSorted)) return query;
  const pairs = query.slice(1).split("&");
  const kept =
    rule.kind === "all" ? pairs : pairs.filter((pair) => rule.names.includes(nameOf(pair)) === (rule.kind === "only"));
  // By name alone, and stable: the order of values of one name has a meaning.
  const ordered = rule.isSorted ? kept.sort((a, b) => compare(nameOf(a), nameOf(b))) : kept;
  return ordered.length === 0 ? "" : `?${ordered.join("&")}`;
}

function nameOf(pair: string): string {
  const equals = pair.indexOf("=");
  return equals === -1 ? pair : pair.slice(0, equals);
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
