import type { LeaseItem, LeaseMessage } from "../../../objects/rate-limiter/leases/lease-messages.ts";
import type { BucketLimit } from "../../../objects/rate-limiter/algorithms/token-bucket.ts";

/** A message of one policy `p`, from isolate `a`, that asks for nothing unless told. */
export function leaseMessage(
  limit: BucketLimit,
  message: Partial<LeaseMessage>,
  item: Partial<LeaseItem> = {},
): LeaseMessage {
  return {
    v: 1,
    configVersion: 1,
    client: "client",
    isolate: "a",
    seq: 1,
    leaseId: null,
    keep: false,
    want: 256,
    spanMs: 0,
    binMs: 1,
    items: [{ policy: "p", ...limit, cost: 0, shadow: false, held: 0, spent: [], rate: 0, denied: 0, ...item }],
    ...message,
  };
}
