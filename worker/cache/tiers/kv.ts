import { seal } from "./envelope.ts";
import { keptOf } from "./kept-body.ts";
import { nameOf, type Tier } from "./tier.ts";

/** KV refuses less. */
const LEAST_SECONDS = 60;

/**
 * Workers KV: one for all places, fast where it is read often. What is written shows elsewhere within a minute, and what was deleted goes
 * as late: what may be used of it is told by the purges alone. Nothing is in its metadata, which has room for 1,024 bytes: fields of one
 * response may have more.
 */
export function kvTier(namespace: KVNamespace): Tier {
  return {
    name: "kv",
    async read(address) {
      const name = nameOf(address);
      const bytes = await namespace.get(name, "arrayBuffer");
      return bytes === null ? undefined : keptOf(name, bytes);
    },
    write(address, record, body, retentionMs) {
      const name = nameOf(address);
      const expirationTtl = Math.max(LEAST_SECONDS, Math.ceil(retentionMs / 1_000));
      return namespace.put(name, seal(name, record, body), { expirationTtl });
    },
    remove: (address) => namespace.delete(nameOf(address)),
  };
}
