import { isCookie, type StoredResponse } from "../stored-response.ts";

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
  /** Addresses of the first of them, for whoever wants to see them. */
  readonly variants: readonly string[];
}

/** A record as it comes out of a tier, with its body. An index has an empty one. */
export interface Unsealed {
  readonly record: CacheRecord;
  readonly body: Uint8Array;
}

/** "SLC" and the version of the format: another version is read as nothing. */
const MAGIC = 0x53_4c_43_02;
/** Magic, and the length of what follows before the body. */
export const PREFIX_BYTES = 8;

/**
 * A record as a tier keeps it: one run of bytes, so that no tier can lose the head of a body or judge it by fields of its own. The body is
 * the origin's bytes in its own coding. It says what name it is kept under, so that it is nothing under another.
 */
export function seal(name: string, record: CacheRecord, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = new TextEncoder().encode(JSON.stringify({ ...record, name }));
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

/** Reads what `seal` made for a name; undefined for anything else, and for a body that is not as long as it was. */
export function unseal(name: string, bytes: Uint8Array): Unsealed | undefined {
  const length = headBytes(bytes);
  if (length === undefined) return undefined;
  const record = readRecord(name, bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + length));
  const body = bytes.subarray(PREFIX_BYTES + length);
  return record !== undefined && isWhole(record, body.byteLength) ? { record, body } : undefined;
}

/** The record in these bytes; undefined where they have no end, are of another name, or don't have what a record has. */
export function readRecord(name: string, bytes: Uint8Array): CacheRecord | undefined {
  try {
    const record: Unchecked = JSON.parse(new TextDecoder().decode(bytes));
    return record.name === name && isRecord(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a body is all there. */
export function isWhole(record: CacheRecord, bodyBytes: number): boolean {
  return bodyBytes === (record.kind === "index" ? 0 : record.stored.bodyBytes);
}

type Unchecked = { readonly [field: string]: unknown };

/** Tiers that others can write to hold what others wrote: what lacks a time can't be judged, and a field that is none can't be sent. */
function isRecord(record: Unchecked): record is Unchecked & CacheRecord {
  const { kind, variant, vary, variants, since, stored } = record;
  if (kind === "index") return isTexts(vary) && isTexts(variants) && isTime(since);
  if (kind !== "response" || typeof variant !== "string" || typeof stored !== "object" || stored === null) return false;
  const { status, fields, tags, bodyBytes, ...times }: Unchecked = { ...stored };
  const { requestedAt, bytesRequestedAt, receivedAt, generatedAt } = times;
  const isHead =
    Number.isInteger(status) && isTime(status) && status >= 200 && status <= 599 && isTime(bodyBytes) && isTexts(tags);
  const isTimed = [requestedAt, bytesRequestedAt, receivedAt, generatedAt].every(isTime);
  return isHead && isTimed && Array.isArray(fields) && fields.every(isField);
}

/** RFC 9110, section 5.1, in lower case. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
// oxlint-disable-next-line no-control-regex -- what no field's value may hold
const VALUE = /^[^\0\r\n]*$/;

function isField(field: unknown): boolean {
  if (!isTexts(field) || field.length !== 2) return false;
  const [name = "", value = ""] = field;
  return NAME.test(name) && !isCookie(name) && VALUE.test(value);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === "string");
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
