import { matchesStrongly } from "./entity-tag.ts";
import { readerOf, type FieldReader } from "./fields.ts";
import { parseHttpDate } from "../http-date.ts";
import type { StoredResponse } from "./stored-response.ts";

/** What a request for a part of a whole response gets. `last` is within it. */
export type RangeAnswer =
  /** The whole: no part is asked for, or the request has another version, or asks in a way that nobody has to follow. */
  | { readonly kind: "whole" }
  /** 206, with this `Content-Range`. */
  | { readonly kind: "part"; readonly first: number; readonly last: number; readonly contentRange: string }
  /** 416, with this `Content-Range`. */
  | { readonly kind: "unsatisfiable"; readonly contentRange: string };

interface Part {
  readonly first: number;
  readonly last: number;
}

/** More are not looked at: many small parts are an attack (CVE-2011-3192). */
const MAX_PARTS = 16;

/**
 * Which part of a stored response a request asks for (RFC 9110, section 14). Several parts are answered as one where they touch or overlap,
 * else with the whole, which section 14.2 allows: a `multipart/byteranges` would be for nobody but download accelerators. `If-Range` is
 * compared strongly; a date counts where it is the stored one and lies a second or more before the response (section 8.8.2.2).
 *
 * Another status than 200, and another method than GET, knows no parts.
 */
export function rangeOf(method: string, request: FieldReader, stored: StoredResponse, now: number): RangeAnswer {
  if (method !== "GET" || stored.status !== 200) return { kind: "whole" };
  const size = stored.bodyBytes;
  const [, list] = /^bytes=(.*)$/i.exec(request.get("range")?.trim() ?? "") ?? [];
  if (list === undefined || !isSameVersion(request.get("if-range"), readerOf(stored.fields), now))
    return { kind: "whole" };
  const members = list.split(",").map((member) => member.trim());
  if (members.length > MAX_PARTS) return { kind: "whole" };
  const parts: Part[] = [];
  for (const member of members) {
    const part = parsePart(member, size);
    if (part === undefined) return { kind: "whole" };
    if (part.first < size && part.first <= part.last) parts.push(part);
  }
  if (parts.length === 0) return { kind: "unsatisfiable", contentRange: `bytes */${size}` };
  const joined = join(parts);
  return joined === undefined
    ? { kind: "whole" }
    : { kind: "part", ...joined, contentRange: `bytes ${joined.first}-${joined.last}/${size}` };
}

/** Undefined for what is no range at all. One that lies behind the end is a range. */
function parsePart(member: string, size: number): Part | undefined {
  const [, from, to] = /^(\d*)-(\d*)$/.exec(member) ?? [];
  if (from === undefined || to === undefined || (from === "" && to === "")) return undefined;
  if (from === "") return { first: Math.max(0, size - Number(to)), last: to.match(/^0+$/) ? -1 : size - 1 };
  if (to !== "" && Number(to) < Number(from)) return undefined;
  return { first: Number(from), last: to === "" ? size - 1 : Math.min(Number(to), size - 1) };
}

function join(parts: readonly Part[]): Part | undefined {
  const [lowest, ...others] = [...parts].sort((a, b) => a.first - b.first);
  if (lowest === undefined) return undefined;
  let joined = lowest;
  for (const part of others) {
    if (part.first > joined.last + 1) return undefined;
    joined = { first: joined.first, last: Math.max(joined.last, part.last) };
  }
  return joined;
}

function isSameVersion(ifRange: string | null, stored: FieldReader, now: number): boolean {
  if (ifRange === null) return true;
  const text = ifRange.trim();
  const tag = stored.get("etag");
  if (text.startsWith('"') || text.startsWith("W/")) return tag !== null && matchesStrongly(text, tag);
  const changed = parseHttpDate(stored.get("last-modified"), now);
  const date = parseHttpDate(stored.get("date"), now);
  return changed !== undefined && parseHttpDate(text, now) === changed && date !== undefined && date - changed >= 1_000;
}
