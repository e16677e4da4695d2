import { addresses } from "../../../objects/address.ts";
import {
  CACHE_OUTCOMES,
  CACHE_TIERS,
  FLIGHT_OUTCOMES,
  FOUND_WITHIN_MS,
  placeOfFlight,
  placeOfOutcome,
  placeOfTier,
  placeOfTimes,
  TIER_OUTCOMES,
  type CacheTally,
} from "../../../objects/control-plane/cache-tally.ts";
import type { StoredTally } from "../../../objects/control-plane/tally-store.ts";
import { ONE_TRY } from "../../../objects/one-try.ts";
import { giveBack, takeTally } from "../../cache/flow/tally.ts";
import { GatewayError } from "../../errors.ts";
import { namingSecret } from "../../limits/client-address.ts";
import { within } from "../../within.ts";
import type { AdminContext } from "../index.ts";
import { json } from "../json.ts";

const ASK_MS = 5_000;

/**
 * GET /admin/cache-stats: what the caches of all isolates have made of requests, and how their tiers did. Each tells what it did when it asks
 * for purges, every 1.4 s while requests come: what one did last is missing until its next.
 *
 * @throws GatewayError `dependency-unavailable`.
 */
export async function readCacheStats({ env }: AdminContext): Promise<Response> {
  const { since, counts } = await tallyOf(env);
  return json(viewOf(since, counts, env));
}

/**
 * GET /admin/dedup-stats: what coalescing has made of requests, in all isolates as above. Each that waited for another's has saved its
 * origin one.
 *
 * @throws GatewayError `dependency-unavailable`.
 */
export async function readDedupStats({ env }: AdminContext): Promise<Response> {
  const { since, counts } = await tallyOf(env);
  const [leaders = 0, followers = 0, hitForMiss = 0, failed = 0, withoutOwner = 0] = FLIGHT_OUTCOMES.map(
    (one) => counts[placeOfFlight(one)] ?? 0,
  );
  const said = { leaders, followers, hitForMiss, failed, withoutOwner, upstreamRequestsSaved: followers };
  return json({ scope: SCOPE, since: new Date(since).toISOString(), ...said });
}

const SCOPE = "all isolates, but for what each did since it told last: 1.4 s, or as long as nobody has asked it";

async function tallyOf(env: Env): Promise<StoredTally> {
  const { name } = await addresses(namingSecret(env)).controlPlane();
  const stub = env.CONTROL_PLANE.get(env.CONTROL_PLANE.idFromName(name), ONE_TRY);
  const tally = takeTally();
  try {
    const late = () => new Error(`ControlPlane did not answer within ${ASK_MS} ms`);
    return await within<StoredTally>(stub.tally({ v: 1, tally }), ASK_MS, late);
  } catch (error) {
    giveBack(tally);
    const detail = "What was counted cannot be read now; repeat it.";
    throw new GatewayError("dependency-unavailable", { detail, headers: { "retry-after": "1" }, cause: error });
  }
}

function viewOf(since: number, counts: CacheTally, { PROXY_CACHE, CACHE_BUCKET }: Env) {
  const at = (place: number) => counts[place] ?? 0;
  const [hits = 0, stale = 0, revalidated = 0, misses = 0, bypasses = 0] = CACHE_OUTCOMES.map((one) =>
    at(placeOfOutcome(one)),
  );
  const asked = hits + stale + revalidated + misses;
  const bound = { colo: true, kv: PROXY_CACHE !== undefined, r2: CACHE_BUCKET !== undefined };
  const tiers = CACHE_TIERS.map((tier) => {
    const times = [...FOUND_WITHIN_MS, Infinity].map((_, bucket) => at(placeOfTimes(tier) + bucket));
    const said = Object.fromEntries(TIER_OUTCOMES.map((what) => [what, at(placeOfTier(tier, what))]));
    return [tier, { isBound: bound[tier], ...said, foundWithinMs: timesOf(times) }] as const;
  });
  return {
    scope: SCOPE,
    since: new Date(since).toISOString(),
    requests: { hits, stale, revalidated, misses, bypasses },
    hitRate: asked === 0 ? null : (hits + stale) / asked,
    tiers: Object.fromEntries(tiers),
  };
}

/** How many were found within so many ms, and percentiles: the bound below which they lie; null: none, or beyond all bounds. */
function timesOf(times: readonly number[]) {
  const total = times.reduce((sum, count) => sum + count, 0);
  const below = (share: number) => {
    let sum = 0;
    const bucket = times.findIndex((count) => (sum += count) > 0 && sum >= total * share);
    return FOUND_WITHIN_MS[bucket] ?? null;
  };
  const bounds = [...FOUND_WITHIN_MS, "more"];
  return {
    p50: below(0.5),
    p95: below(0.95),
    p99: below(0.99),
    counts: Object.fromEntries(bounds.map((bound, bucket) => [bound, times[bucket] ?? 0])),
  };
}
