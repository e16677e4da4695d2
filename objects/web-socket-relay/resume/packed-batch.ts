import { isInteger } from "../../numbers.ts";
import { parsePacked } from "../../packed.ts";
import type { PassedMessage } from "./ring.ts";

/** Messages as one row: their bytes one after the other, and a list of lengths, of a text `n` and of a binary one `-n - 1`. */
export interface PackedBatch {
  readonly lengths: string;
  readonly bytes: ArrayBuffer;
}

/** Packs messages. */
export function packBatch(messages: readonly PassedMessage[]): PackedBatch {
  const encoder = new TextEncoder();
  const parts = messages.map(({ data }) => (typeof data === "string" ? encoder.encode(data) : new Uint8Array(data)));
  const lengths = parts.map(({ length }, index) => (typeof messages[index]?.data === "string" ? length : -length - 1));
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return { lengths: JSON.stringify(lengths), bytes: bytes.buffer };
}

/** What `packBatch` packed; undefined when it cannot be read. */
export function unpackBatch({ lengths, bytes }: PackedBatch): readonly PassedMessage[] | undefined {
  const list: unknown = parsePacked(lengths);
  if (!Array.isArray(list)) return undefined;
  const decoder = new TextDecoder();
  const messages: PassedMessage[] = [];
  let at = 0;
  for (const length of list) {
    if (!isInteger(length)) return undefined;
    const end = at + (length < 0 ? -length - 1 : length);
    const part = bytes.slice(at, end);
    messages.push({ data: length < 0 ? part : decoder.decode(part), bytes: part.byteLength });
    at = end;
  }
  return at === bytes.byteLength ? messages : undefined;
}
