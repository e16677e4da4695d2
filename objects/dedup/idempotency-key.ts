import { parseItem, type Item } from "structured-headers";

/** A request's Idempotency-Key: what it is, that there is none, or that it can't be one. */
export type IdempotencyKey =
  | { readonly kind: "key"; readonly key: string }
  | { readonly kind: "none" }
  | { readonly kind: "invalid"; readonly got: string; readonly wanted: string };

const MAX_LENGTH = 255;
/** What clients send that don't know structured fields; nothing that could be read as two. */
const BARE = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x7e]+$/;

/**
 * Reads an `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-06): a string of structured fields, or the same without quotes, as
 * most clients in use write it. Quoted or not, it is the same key.
 */
export function readIdempotencyKey(field: string | null): IdempotencyKey {
  const text = field?.trim() ?? "";
  if (text === "") return field === null ? { kind: "none" } : invalid("nothing");
  const key = BARE.test(text) ? text : quoted(text);
  if (key === undefined) return invalid("text that is neither quoted nor one word");
  if (key === "") return invalid("an empty string");
  return key.length > MAX_LENGTH ? invalid(`${key.length} characters`) : { kind: "key", key };
}

function quoted(text: string): string | undefined {
  const [value] = parse(text) ?? [];
  return typeof value === "string" ? value : undefined;
}

function parse(text: string): Item | undefined {
  try {
    return parseItem(text);
  } catch {
    return undefined;
  }
}

function invalid(got: string): IdempotencyKey {
  return { kind: "invalid", got, wanted: `one quoted string of 1 to ${MAX_LENGTH} characters, such as a UUID` };
}
