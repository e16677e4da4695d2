import { matchesStrongly } from "./entity-tag.ts";
import { readerOf, type FieldReader, type Fields } from "./fields.ts";
import { storedFields, timesOf, withDate, type NewHead, type StoredResponse } from "./stored-response.ts";
import { tagsOf } from "./tags.ts";

/** What describes the stored bytes, which stay; the tag is what they were confirmed by. */
const KEPT: ReadonlySet<string> = new Set([
  "content-encoding",
  "content-length",
  "content-md5",
  "content-range",
  "etag",
  "set-cookie",
  "set-cookie2",
]);

/**
 * The conditions that ask the origin whether what is stored is still right; none: it can only be fetched anew. They take the place of the
 * client's own, which are judged afterwards: a 304 to a condition of the client's would say nothing of what we keep.
 */
export function validatorsOf(stored: FieldReader): Fields {
  const tag = stored.get("etag");
  const changed = stored.get("last-modified");
  const conditions: [string, string][] = [];
  if (tag !== null) conditions.push(["if-none-match", tag]);
  if (changed !== null) conditions.push(["if-modified-since", changed]);
  return conditions;
}

/**
 * A stored response after a 304 to its validators (RFC 9111, section 4.3.4): the fields of the 304 take the place of those of the same name,
 * except what describes the bytes, and the others stay. A 304 that repeats no validator confirms it too: it was the answer to ours. Whether
 * what comes out may still be kept is to be asked again: the 304 may have said `private`.
 */
export function confirmed(stored: StoredResponse, head: NewHead): StoredResponse {
  const news = storedFields(head.fields).filter(([name]) => !KEPT.has(name));
  const names = new Set(news.map(([name]) => name));
  // An Age or a Date of the time before would make the confirmed response as old as it was.
  const replaced = new Set([...names, "age", "date"]);
  const fields = withDate([...stored.fields.filter(([name]) => !replaced.has(name)), ...news], head.receivedAt);
  return { ...stored, fields, ...timesOf(head), tags: tagsOf(readerOf(fields)) };
}

/**
 * What the answer to a HEAD says of what is stored for GET (RFC 9111, section 4.3.5): it confirms it where something names its bytes and
 * nothing that does differs; where one does, it shows that they are no longer right. Only a 200 says anything.
 */
export function afterHead(
  stored: StoredResponse,
  status: number,
  head: NewHead,
): { readonly kind: "confirmed"; readonly stored: StoredResponse } | { readonly kind: "invalid" | "unchanged" } {
  if (status !== 200 || stored.status !== 200) return { kind: "unchanged" };
  const before = readerOf(stored.fields);
  const after = readerOf(head.fields);
  const [length, tag] = [after.get("content-length"), after.get("etag")];
  const old = before.get("etag");
  const compared = [
    tag === null || old === null ? undefined : tag === old || matchesStrongly(tag, old),
    sameText("last-modified", before, after),
    // What came in chunks has a length all the same.
    length === null ? undefined : Number(length) === stored.bodyBytes,
  ].filter((result) => result !== undefined);
  if (compared.includes(false)) return { kind: "invalid" };
  return compared.length === 0 ? { kind: "unchanged" } : { kind: "confirmed", stored: confirmed(stored, head) };
}

function sameText(name: string, before: FieldReader, after: FieldReader): boolean | undefined {
  const [old, now] = [before.get(name), after.get(name)];
  return old === null || now === null ? undefined : old === now;
}
