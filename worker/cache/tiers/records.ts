import { MAX_RETENTION_MS } from "../../../objects/control-plane/purge.ts";
import { createLru } from "../../../objects/lru.ts";
import { variantOf, varyOf } from "../../../objects/dedup/variant.ts";
import { readerOf } from "../fields.ts";
import type { KeyedRequest } from "../flow/keyed-request.ts";
import type { StoredResponse } from "../stored-response.ts";
import { deleteColo, drop, readColo, writeColo, type KeptBody } from "./colo.ts";
import type { CacheIndex } from "./envelope.ts";

/** A response that is kept. Whoever doesn't want its body has to `drop` it. */
export interface KeptResponse {
  readonly stored: StoredResponse;
  readonly body: KeptBody;
  /** Where it is. */
  readonly address: string;
}

/** What came of a search. */
export type Found =
  | { readonly kind: "found"; readonly kept: KeptResponse }
  /** Other variants of it may be there. */
  | { readonly kind: "vary-miss" }
  | { readonly kind: "uri-miss" };

/** A response that varies by more is not kept: each field multiplies the entries. */
const MAX_VARY = 16;
const NOTHING = new Uint8Array();

/**
 * What this isolate knows to be invalid, by resource, and since when: a response under way must not come back after the request that made
 * it wrong. What others know they find in the tier.
 */
const invalidated = createLru<string, number>(10_000);

/** Looks for the response to a request. @throws Error when the tier fails. */
export async function findResponse(keyed: KeyedRequest): Promise<Found> {
  const { address } = keyed;
  const first = await readColo(address);
  if (first === undefined) return { kind: "uri-miss" };
  const { record, body } = first;
  if (record.kind === "response")
    return usable(keyed, { stored: record.stored, body, address }, 0) ?? { kind: "uri-miss" };
  if (record.vary.length === 0) return { kind: "uri-miss" };
  const variant = variantOf(record.vary, keyed.sent);
  const place = await keyed.addressOf(variant);
  const second = await readColo(place);
  if (second === undefined) return { kind: "vary-miss" };
  const kept = second.record.kind === "response" && second.record.variant === variant ? second.record : undefined;
  if (kept === undefined) {
    drop(second.body);
    return { kind: "vary-miss" };
  }
  const found = { stored: kept.stored, body: second.body, address: place };
  return usable(keyed, found, record.since) ?? { kind: "vary-miss" };
}

/**
 * Keeps a response, unless it has been made invalid since it was asked for. Beside others that vary it is kept as one that varies by the
 * same, also where it doesn't say so.
 *
 * @throws Error when the tier fails.
 */
export async function keepResponse(
  keyed: KeyedRequest,
  { stored, body }: { readonly stored: StoredResponse; readonly body: Uint8Array },
  worthMs: number,
): Promise<void> {
  // Counted from its bytes, however often they are confirmed: an older purge than that is forgotten.
  const retentionMs = Math.min(worthMs, stored.bytesRequestedAt + MAX_RETENTION_MS - Date.now());
  const fields = readerOf(stored.fields);
  const said = varyOf(fields.get("vary"));
  // Coded bytes are for those who can read them, though their origin forgets to say so.
  const vary = said !== "*" && fields.get("content-encoding") !== null ? [...said, "accept-encoding"] : said;
  if (vary === "*" || retentionMs <= 0) return;
  const before = await indexAt(keyed.address);
  const since = Math.max(before?.since ?? 0, invalidated.get(keyed.resource) ?? 0);
  if (stored.requestedAt < since) return;
  const names = [...new Set([...(before?.vary ?? []), ...vary])].sort();
  if (names.length > MAX_VARY) return;
  if (names.length === 0) {
    return writeColo(keyed.address, { kind: "response", variant: "", stored }, body, retentionMs);
  }
  const variant = variantOf(names, keyed.sent);
  await writeColo(await keyed.addressOf(variant), { kind: "response", variant, stored }, body, retentionMs);
  if (before?.vary.length === names.length) return;
  const index: CacheIndex = { kind: "index", vary: names, since: before?.since ?? stored.requestedAt };
  // One that goes before its variants takes them with it.
  await writeColo(keyed.address, index, NOTHING, MAX_RETENTION_MS);
}

/** Forgets one response. @throws Error when the tier fails. */
export function forgetResponse({ address }: KeptResponse): Promise<void> {
  return deleteColo(address);
}

/**
 * Makes every variant of what a request asks for useless, here and for all who share the tier, and what is under way to become one. Of
 * entries that are kept apart by principals or cookies it reaches those of this request; in this isolate all.
 *
 * @throws Error when the tier fails.
 */
export async function invalidateResponses(keyed: KeyedRequest, now: number): Promise<void> {
  invalidated.set(keyed.resource, now + 1);
  await writeColo(keyed.address, { kind: "index", vary: [], since: now + 1 }, NOTHING, MAX_RETENTION_MS);
}

function usable({ resource }: KeyedRequest, kept: KeptResponse, since: number): Found | undefined {
  if (kept.stored.requestedAt >= Math.max(since, invalidated.get(resource) ?? 0)) return { kind: "found", kept };
  drop(kept.body);
  return undefined;
}

async function indexAt(address: string): Promise<CacheIndex | undefined> {
  const kept = await readColo(address);
  if (kept === undefined) return undefined;
  drop(kept.body);
  return kept.record.kind === "index" ? kept.record : undefined;
}
