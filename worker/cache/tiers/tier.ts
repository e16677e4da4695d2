import type { CACHE_TIERS } from "../../../objects/control-plane/cache-tally.ts";
import type { CacheRecord } from "./envelope.ts";
import type { Kept } from "./kept-body.ts";

/** The tiers, from the nearest and fastest to the largest. */
export type TierName = (typeof CACHE_TIERS)[number];

/** A store of bytes. What may be done with what it holds is not its business. */
export interface Tier {
  readonly name: TierName;
  /** What is at an address; undefined: nothing, or nothing that `seal` made for this address. Rejects when the tier fails. */
  read(address: string): Promise<Kept | undefined>;
  /** Keeps a record for so long at most. Rejects when the tier fails. */
  write(address: string, record: CacheRecord, body: Uint8Array, retentionMs: number): Promise<unknown>;
  /** Rejects when the tier fails. */
  remove(address: string): Promise<unknown>;
}

/** What an address is called in a tier that has no URLs, and what a record says that it was made for. */
export function nameOf(address: string): string {
  return address.slice(address.indexOf("/", "https://".length) + 1);
}
