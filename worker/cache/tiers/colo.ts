import { createDependency } from "../../dependencies/dependency.ts";
import { within } from "../../within.ts";
import { headBytes, isWhole, PREFIX_BYTES, readRecord, seal, unseal, type CacheRecord } from "./envelope.ts";

/** The bytes of a body: all here, or still in the tier. */
export type KeptBody =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "stream"; readonly stream: ReadableStream<Uint8Array> };

/** A record, and its body; whoever doesn't want the body has to `drop` it. */
export interface Kept {
  readonly record: CacheRecord;
  readonly body: KeptBody;
}

/** Another name where the format changes. A cache of its own: nothing but this file reads or writes it. */
const CACHE = "sluice-1";
/** Of what is read whole in one go. */
const WHOLE_BYTES = 262_144;
/** A hit takes milliseconds. The origin is asked instead of a cache that takes longer. */
const READ_MS = 150;
/** Of a long body that has to be written again. The origin is asked for it where that takes longer. */
const WHOLE_MS = 2_000;
const WRITE_MS = 5_000;

/** All addresses are in one place, and fail together. */
const PLACE = "colo";
const places = createDependency({ kind: "Cache API", remembers: 2 });

/**
 * What is at an address; undefined: nothing, or nothing that can be read.
 *
 * @throws Error when the cache fails, or doesn't answer within 150 ms.
 */
export function readColo(address: string): Promise<Kept | undefined> {
  return places.call(PLACE, () => read(address), { deadlineMs: READ_MS });
}

/** Keeps a record for so long at most. @throws Error when the cache fails, or takes more than 5 s. */
export function writeColo(address: string, record: CacheRecord, body: Uint8Array, retentionMs: number): Promise<void> {
  const seconds = Math.max(1, Math.ceil(retentionMs / 1_000));
  const headers = { "cache-control": `public, max-age=${seconds}`, "content-type": "application/octet-stream" };
  return places.call(
    `${PLACE} writes`,
    async () => (await caches.open(CACHE)).put(address, new Response(seal(record, body), { headers })),
    { deadlineMs: WRITE_MS },
  );
}

/** Forgets what is at an address, in this place. @throws Error when the cache fails, or takes more than 5 s. */
export async function deleteColo(address: string): Promise<void> {
  await places.call(`${PLACE} writes`, async () => (await caches.open(CACHE)).delete(address), {
    deadlineMs: WRITE_MS,
  });
}

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

async function read(address: string): Promise<Kept | undefined> {
  const cache = await caches.open(CACHE);
  const response = await cache.match(address);
  if (response === undefined) return undefined;
  const total = Number(response.headers.get("content-length") ?? 0);
  return total > WHOLE_BYTES && response.body !== null ? readHead(response.body, total) : readAll(response);
}

async function readAll(response: Response): Promise<Kept | undefined> {
  const unsealed = unseal(new Uint8Array(await response.arrayBuffer()));
  return unsealed && { record: unsealed.record, body: { kind: "bytes", bytes: unsealed.body } };
}

/** Reads the record alone, and leaves the stream where the body begins. */
async function readHead(stream: ReadableStream<Uint8Array>, total: number): Promise<Kept | undefined> {
  const reader = stream.getReader({ mode: "byob" });
  const take = async (count: number) => {
    const { value } = await reader.readAtLeast(count, new Uint8Array(count));
    return value?.byteLength === count ? value : undefined;
  };
  const prefix = await take(PREFIX_BYTES);
  const length = prefix === undefined ? undefined : headBytes(prefix);
  const head = length === undefined ? undefined : await take(length);
  const record = head === undefined ? undefined : readRecord(head);
  reader.releaseLock();
  if (length !== undefined && record !== undefined && isWhole(record, total - PREFIX_BYTES - length)) {
    return { record, body: { kind: "stream", stream } };
  }
  drop({ kind: "stream", stream });
  return undefined;
}
