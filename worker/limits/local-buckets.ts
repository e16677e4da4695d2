import { createLru } from "../../objects/lru.ts";
import {
  fullBucket,
  take,
  type Bucket,
  type BucketDecision,
  type BucketLimit,
} from "../../objects/rate-limiter/token-bucket.ts";
import type { RateLimit } from "../../schemas/index.ts";

/**
 * The share of a limit that one isolate grants by itself while the owner does not answer (`onError: "local"`). How many
 * isolates serve a client is not known here, so a tenth each: over-admission is at most a tenth of the limit an isolate.
 */
const LOCAL_SHARE = 0.1;
/** Buckets remembered at once; the one used longest ago goes, and starts full again. */
const MAX_BUCKETS = 1000;

const buckets = createLru<string, Bucket>(MAX_BUCKETS);

/**
 * Decides about one request from this isolate's share alone. At least one token, so that no client is shut out.
 *
 * @param now when it is decided, not when the request arrived: buckets don't go back in time.
 */
export function takeLocally(limit: RateLimit, client: string, now: number): BucketDecision {
  const share: BucketLimit = {
    tokensPerWindow: Math.max(1, Math.floor(limit.requestsPerWindow * LOCAL_SHARE)),
    windowMs: limit.windowMs,
    burst: Math.max(1, Math.floor(limit.burst * LOCAL_SHARE)),
  };
  // A limit whose numbers changed starts anew: a remainder is counted in units of its window.
  const key = [limit.id, share.tokensPerWindow, share.windowMs, share.burst, client].join("\n");
  const decision = take(buckets.get(key) ?? fullBucket(share, now), share, 1, now);
  buckets.set(key, decision.bucket);
  return decision;
}
