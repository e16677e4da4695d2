import type { StoredResponse } from "../stored-response.ts";

/** What a tier keeps under one address. */
export type CacheRecord =
  /** A response. What it varies by is part of its address, and is there to be compared. */
  | { readonly kind: "response"; readonly variant: string; readonly stored: StoredResponse }
  /** Where the responses for a key are: at addresses of their own, by these fields of the request. */
  | CacheIndex;

/** What a key's responses vary by. */
export interface CacheIndex {
  readonly kind: "index";
  readonly vary: readonly string[];
  /** What began before, in ms since the epoch, is dead: it was invalidated, or another index had led to it. */
  readonly since: number;
}

/** A record as it comes out of a tier, with its body. An index has an empty one. */
export interface Unsealed {
  readonly record: CacheRecord;
  readonly body: Uint8Array;
}

/** "SLC" and the version of the format: another version is read as nothing. */
const MAGIC = 0x53_4c_43_01;
/** Magic, and the length of what follows before the body. */
export const PREFIX_BYTES = 8;

/**
 * A record as a tier keeps it: one run of bytes, so that no tier can lose the head of a body or judge it by fields of its own. The body is
 * the origin's bytes in its own coding.
 */
export function seal(record: CacheRecord, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = new TextEncoder().encode(JSON.stringify(record));
  const bytes = new Uint8Array(PREFIX_BYTES + head.byteLength + body.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, head.byteLength);
  bytes.set(head, PREFIX_BYTES);
  bytes.set(body, PREFIX_BYTES + head.byteLength);
  return bytes;
}

/** How many bytes of record follow a prefix; undefined: it is none of ours. */
export function headBytes(prefix: Uint8Array): number | undefined {
  if (prefix.byteLength < PREFIX_BYTES) return undefined;
  const view = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES);
  return view.getUint32(0) === MAGIC ? view.getUint32(4) : undefined;
}

/** Reads what `seal` made; undefined for anything else, and for a body that is not as long as it was. */
export function unseal(bytes: Uint8Array): Unsealed | undefined {
  const length = headBytes(bytes);
  if (length === undefined) return undefined;
  const record = readRecord(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + length));
  const body = bytes.subarray(PREFIX_BYTES + length);
  return record !== undefined && isWhole(record, body.byteLength) ? { record, body } : undefined;
}

/** The record in these bytes. What begins with our prefix was written by `seal`, unless its end is missing. */
export function readRecord(bytes: Uint8Array): CacheRecord | undefined {
  try {
    const record: CacheRecord = JSON.parse(new TextDecoder().decode(bytes));
    return record;
  } catch {
    return undefined;
  }
}

/** Whether a body is all there. */
export function isWhole(record: CacheRecord, bodyBytes: number): boolean {
  return bodyBytes === (record.kind === "index" ? 0 : record.stored.bodyBytes);
}
