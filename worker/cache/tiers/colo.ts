import { seal } from "./envelope.ts";
import { readKept } from "./kept-body.ts";
import { nameOf, type Tier } from "./tier.ts";

/** Another name where the format changes. A cache of its own: nothing but this file reads or writes it. */
const CACHE = "sluice-2";

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
    await (await caches.open(CACHE)).put(address, response);
  },
  async remove(address) {
    await (await caches.open(CACHE)).delete(address);
  },
};
