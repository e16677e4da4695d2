import { entityTags, matchesWeakly } from "./entity-tag.ts";
import type { FieldReader, Fields } from "./fields.ts";
import { parseHttpDate } from "../http-date.ts";

/**
 * Whether a requester has what is stored already, so that 304 is enough (RFC 9110, section 13.2.2). Asked for each requester by itself,
 * also after one of them made the stored response be confirmed: what that one has says nothing of another.
 *
 * `If-None-Match` is compared weakly and beats `If-Modified-Since`. Conditions count for a success alone.
 */
export function isNotModified(status: number, stored: FieldReader, request: FieldReader, now: number): boolean {
  if (status < 200 || status > 299) return false;
  const noneMatch = request.get("if-none-match");
  if (noneMatch !== null) {
    const tag = stored.get("etag");
    const tags = entityTags(noneMatch);
    return tags === "*" || (tag !== null && tags.some((one) => matchesWeakly(one, tag)));
  }
  const since = parseHttpDate(request.get("if-modified-since"), now);
  const changed = parseHttpDate(stored.get("last-modified"), now);
  return since !== undefined && changed !== undefined && changed <= since;
}

/** What describes a body that is not sent. */
const OF_THE_BODY: ReadonlySet<string> = new Set([
  "content-encoding",
  "content-language",
  "content-length",
  "content-md5",
  "content-range",
  "content-type",
]);

/** The fields of a 304: those of the 200 without what describes its body (RFC 9110, section 15.4.5). */
export function notModifiedFields(fields: Fields): Fields {
  return fields.filter(([name]) => !OF_THE_BODY.has(name));
}
