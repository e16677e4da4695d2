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

/** Decides about one request from this isolate's share alone. At least one token, so that no client is shut out. */
export function takeLocally(limit: RateLimit, client: string, now: number): BucketDecision {
  const share: BucketLimit = {
    tokensPerWindow: Math.max(1, Math.floor(limit.requestsPerWindow * LOCAL_SHARE)),
    windowMs: limit.windowMs,
    burst: Math.max(1, Math.floor(limit.burst * LOCAL_SHARE)),
  };
  const key = `${limit.id}\n${client}`;
  const decision = take(buckets.get(key) ?? fullBucket(share, now), share, 1, now);
  buckets.set(key, decision.bucket);
  return decision;
}
