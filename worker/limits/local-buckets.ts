import { createLru } from "../../objects/lru.ts";
import { scaleLimit } from "../../objects/rate-limiter/algorithms/cost.ts";
import {
  changeLimit,
  fullBucket,
  take,
  type Bucket,
  type BucketDecision,
  type BucketLimit,
} from "../../objects/rate-limiter/algorithms/token-bucket.ts";
import type { RateLimit } from "../../schemas/index.ts";

/**
 * The share of a limit that one isolate grants by itself while the owner does not answer (`onError: "local"`), where the
 * owner never said how many isolates serve the client.
 */
const UNKNOWN_SHARE = 0.1;
const SMALLEST_SHARE = 0.02;
/** Buckets and numbers of isolates remembered at once; what was used longest ago goes, and a bucket starts full again. */
const MAX_REMEMBERED = 1_000;

const buckets = createLru<string, { readonly bucket: Bucket; readonly share: BucketLimit }>(MAX_REMEMBERED);
const isolates = createLru<string, number>(MAX_REMEMBERED);

/** Remembers how many isolates serve a client, as its owner says it in replies. */
export function noteIsolates(client: string, count: number | undefined): void {
  if (count !== undefined) isolates.set(client, count);
}

/** This isolate's share of a client's limits: 1 / isolates as the owner said last, at least 2 %; a tenth when it never did. */
export function localShare(client: string): number {
  const count = isolates.get(client);
  return count === undefined ? UNKNOWN_SHARE : Math.min(1, Math.max(SMALLEST_SHARE, 1 / count));
}

/**
 * Decides about one request from this isolate's share alone (`localShare`). At least the cost of one request, so that no
 * client is shut out. Over-admission is at most that share in each isolate.
 *
 * @param cost in units.
 * @param now when it is decided, not when the request arrived: buckets don't go back in time.
 */
export function takeLocally(limit: RateLimit, client: string, cost: number, now: number): BucketDecision {
  const share = shareOf(limit, client, cost);
  const key = `${limit.id}\n${client}`;
  const known = buckets.get(key);
  // A share that changed grants nothing: else an outage after each change would bring a full one.
  const bucket = known === undefined ? fullBucket(share, now) : changeLimit(known.bucket, known.share, share, now);
  const decision = take(bucket, share, cost, now);
  buckets.set(key, { bucket: decision.bucket, share });
  return decision;
}

function shareOf(limit: RateLimit, client: string, cost: number): BucketLimit {
  const { requestsPerWindow, windowMs, burst, unitsPerToken } = limit;
  const part = localShare(client);
  const tokens = {
    tokensPerWindow: Math.max(1, Math.floor(requestsPerWindow * part)),
    windowMs,
    burst: Math.max(1, Math.floor(burst * part)),
  };
  const share = scaleLimit(tokens, unitsPerToken);
  return { ...share, burst: Math.max(cost, share.burst) };
}
