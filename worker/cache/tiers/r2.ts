import { seal } from "./envelope.ts";
import { readKept } from "./kept-body.ts";
import { nameOf, type Tier } from "./tier.ts";

/** R2: one for all places, large, and consistent. It forgets nothing by itself; a rule of the bucket has to (docs/guide/caching.md). */
export function r2Tier(bucket: R2Bucket): Tier {
  return {
    name: "r2",
    async read(address) {
      const name = nameOf(address);
      const object = await bucket.get(name);
      return object === null ? undefined : readKept(name, object, object.size);
    },
    write(address, record, body) {
      const name = nameOf(address);
      return bucket.put(name, seal(name, record, body));
    },
    remove: (address) => bucket.delete(nameOf(address)),
  };
}
