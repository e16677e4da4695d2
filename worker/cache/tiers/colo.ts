import { createLru } from "../../../objects/lru.ts";
import { seal } from "./envelope.ts";
import { readKept, type Kept } from "./kept-body.ts";
import { nameOf, type Tier } from "./tier.ts";

/** Another name where the format changes. A cache of its own: nothing but this file reads or writes it. */
const CACHE = "sluice-2";
/** What others of this place do to an entry is seen that late. A purge has 2 s, and doesn't wait for this. */
const RECENT_MS = 1_000;
/** So many of this size at most are 8 MiB of an isolate's 128. */
const RECENT = { entries: 128, bytes: 65_536 };

const recent = createLru<string, { readonly kept: Kept; readonly at: number }>(RECENT.entries);

/** The Cache API: one in each place, which forgets by itself. */
export const colo: Tier = {
  name: "colo",
  async read(address) {
    const response = await (await caches.open(CACHE)).match(address);
    if (response === undefined) return undefined;
    return readKept(nameOf(address), response, Number(response.headers.get("content-length") ?? 0));
  },
  async write(address, record, body, retentionMs) {
    const seconds = Math.max(1, Math.ceil(retentionMs / 1_000));
    const headers = { "cache-control": `public, max-age=${seconds}`, "content-type": "application/octet-stream" };
    const response = new Response(seal(nameOf(address), record, body), { headers });
    recent.delete(address);
    await (await caches.open(CACHE)).put(address, response);
  },
  async remove(address) {
    recent.delete(address);
    await (await caches.open(CACHE)).delete(address);
  },
};

/**
 * What is at an address, as this isolate has read it within the last second: of what is asked for all the time, asking the Cache API
 * would be most of what an answer costs.
 */
export async function readRecent(address: string): Promise<Kept | undefined> {
  const now = Date.now();
  const known = recent.get(address);
  if (known !== undefined && now - known.at < RECENT_MS && now >= known.at) return known.kept;
  const kept = await colo.read(address);
  if (kept?.body.kind === "bytes" && kept.body.bytes.byteLength <= RECENT.bytes) recent.set(address, { kept, at: now });
  else if (known !== undefined) recent.delete(address);
  return kept;
}
