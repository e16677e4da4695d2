import { within } from "../../within.ts";
import { headBytes, isWhole, PREFIX_BYTES, readRecord, unseal, type CacheRecord } from "./envelope.ts";

/** The bytes of a body: all here, or still in the tier. */
export type KeptBody =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "stream"; readonly stream: ReadableStream<Uint8Array> };

/** A record, and its body; whoever doesn't want the body has to `drop` it. */
export interface Kept {
  readonly record: CacheRecord;
  readonly body: KeptBody;
}

/** Of what is read whole in one go. */
const WHOLE_BYTES = 262_144;
/** Of a long body that has to be written again. The origin is asked for it where that takes longer. */
export const WHOLE_MS = 2_000;

/** Lets go of a body that nobody reads. */
export function drop(body: KeptBody): void {
  if (body.kind === "stream") void body.stream.cancel().catch(() => {});
}

/** All of a body. @throws Error when the tier breaks off, or takes more than 2 s. */
export async function wholeBody(body: KeptBody): Promise<Uint8Array> {
  if (body.kind === "bytes") return body.bytes;
  const late = () => new Error(`a kept body was not here after ${WHOLE_MS} ms`);
  return new Uint8Array(await within(new Response(body.stream).arrayBuffer(), WHOLE_MS, late));
}

/** What a tier has under a name: whole where it is short, else up to where the body begins. Undefined: none of ours. */
export async function readKept(
  name: string,
  stored: { readonly body: ReadableStream<Uint8Array> | null; arrayBuffer(): Promise<ArrayBuffer> },
  total: number,
): Promise<Kept | undefined> {
  if (total > WHOLE_BYTES && stored.body !== null) return readHead(name, stored.body, total);
  return keptOf(name, await stored.arrayBuffer());
}

/** The same of bytes that are all here. */
export function keptOf(name: string, bytes: ArrayBuffer): Kept | undefined {
  const unsealed = unseal(name, new Uint8Array(bytes));
  return unsealed && { record: unsealed.record, body: { kind: "bytes", bytes: unsealed.body } };
}

/** Reads the record alone, and leaves the stream where the body begins. */
async function readHead(name: string, stream: ReadableStream<Uint8Array>, total: number): Promise<Kept | undefined> {
  const reader = stream.getReader({ mode: "byob" });
  const take = async (count: number) => {
    const { value } = await reader.readAtLeast(count, new Uint8Array(count));
    return value?.byteLength === count ? value : undefined;
  };
  const prefix = await take(PREFIX_BYTES);
  const length = prefix === undefined ? undefined : headBytes(prefix);
  const isHead = length !== undefined && length > 0 && length <= total;
  const head = isHead ? await take(length) : undefined;
  const record = head === undefined ? undefined : readRecord(name, head);
  reader.releaseLock();
  if (isHead && record !== undefined && isWhole(record, total - PREFIX_BYTES - length)) {
    return { record, body: { kind: "stream", stream } };
  }
  drop({ kind: "stream", stream });
  return undefined;
}
