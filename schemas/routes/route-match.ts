import * as v from "valibot";
import type { HeaderMatch, Route } from "../config-types.ts";
import { hostPattern } from "../values/host-pattern.ts";
import { listOf, methodList } from "../values/primitives.ts";
import { normaliseEscapes } from "../values/url-path.ts";
import { HeaderConditionsSchema, QueryConditionsSchema } from "./field-match.ts";
import { canonicalPath, pattern, prefix } from "./route-path.ts";

/** What a route matches by, without what it does. */
export type RouteMatchFields = Pick<Route, "path" | "hosts" | "methods" | "headers" | "query">;

/** The fields of a route that say which requests it takes. */
export const matchEntries = {
  prefix: v.optional(prefix),
  path: v.optional(pattern),
  methods: v.optional(methodList),
  hosts: v.optional(listOf(hostPattern, "an array of hosts")),
  headers: v.optional(HeaderConditionsSchema),
  query: v.optional(QueryConditionsSchema),
} as const;

/** With all that counters add to it, what their owners take in one message: see `objects/message-checks.ts`. */
const LONGEST_ID = 200;

type MatchInput = v.InferOutput<v.ObjectSchema<typeof matchEntries, undefined>>;

/** The match in its normalised form; undefined without a path. */
export function resolveMatch(input: MatchInput): RouteMatchFields | undefined {
  const value = input.prefix ?? input.path;
  if (value === undefined) return undefined;
  return {
    path: { kind: input.prefix === undefined ? "pattern" : "prefix", value: normaliseEscapes(value) },
    hosts: input.hosts,
    methods: input.methods,
    headers: input.headers ?? [],
    query: input.query ?? [],
  };
}

/** Equal for matches that take exactly the same requests by the same conditions, in whichever order they are written. */
export function canonicalMatch({ path, hosts, methods, headers, query }: RouteMatchFields): string {
  return JSON.stringify([
    canonicalPath(path),
    hosts?.toSorted(),
    methods?.toSorted(),
    canonicalConditions(headers),
    canonicalConditions(query),
  ]);
}

/**
 * A readable id for a route that has none: its path (`=` before a pattern), preceded by `METHODS:HOSTS:` when it names
 * any, followed by a hash of its header and query conditions when it has any. It depends on nothing else, so a route
 * keeps its id, and with it its counters, when others come, go or move. What is longer than 200 characters ends in a hash of
 * all of it. Unlike a written id it holds a slash, or is longer than one may be.
 */
export function deriveRouteId({ path, hosts, methods, headers, query }: RouteMatchFields): string {
  const place = `${path.kind === "pattern" ? "=" : ""}${path.value}`;
  const who =
    methods === undefined && hosts === undefined ? "" : `${methods?.join(",") ?? ""}:${hosts?.join(",") ?? ""}:`;
  if (headers.length + query.length === 0) return shortened(`${who}${place}`);
  const conditions = hash(JSON.stringify([canonicalConditions(headers), canonicalConditions(query)]));
  return shortened(`${who}${place}~${conditions}`);
}

function shortened(id: string): string {
  if (id.length <= LONGEST_ID) return id;
  return `${id.slice(0, LONGEST_ID - 17)}~${hash(id)}${hash(`${id.length}${id}`)}`;
}

function canonicalConditions(conditions: readonly HeaderMatch[]): readonly string[] {
  return conditions.map(({ name, kind, value }) => JSON.stringify([name, kind, value])).toSorted();
}

/** FNV-1a, 32 bits: only to tell apart a handful of routes. */
function hash(text: string): string {
  let state = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    state = Math.imul(state ^ text.charCodeAt(index), 0x01000193);
  }
  return (state >>> 0).toString(16).padStart(8, "0");
}
