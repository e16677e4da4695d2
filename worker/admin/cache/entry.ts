import { purgeVerdict } from "../../../objects/control-plane/purge.ts";
import { answerOf } from "../../cache/answer.ts";
import { currentEpochs } from "../../cache/flow/epochs.ts";
import { invalidatedHere } from "../../cache/flow/group-invalidation.ts";
import { keyRequest } from "../../cache/flow/keyed-request.ts";
import { afterGroups, groupTagsOf } from "../../cache/groups.ts";
import { storedFreshness } from "../../cache/freshness.ts";
import type { CacheRecord } from "../../cache/tiers/envelope.ts";
import { drop } from "../../cache/tiers/kept-body.ts";
import { tiersOf } from "../../cache/tiers/shelves.ts";
import type { Tier } from "../../cache/tiers/tier.ts";
import { within } from "../../within.ts";
import type { AdminContext } from "../index.ts";
import { json } from "../json.ts";
import { getOf, keepingRoute } from "./keeping-route.ts";

const TIER_MS = 2_000;

/**
 * GET /admin/cache/entry?url=: what each tier keeps of a URL, as somebody without cookies and credentials meets it, and what may be made of
 * it now. No bodies. Of the Cache API it is that of the place that answers; at most 16 variants of each tier.
 *
 * @throws GatewayError `invalid-request` for what is no URL, `not-found` where no route takes it that keeps responses.
 */
export async function readCacheEntry(context: AdminContext): Promise<Response> {
  const url = context.query.get("url") ?? "";
  const keeping = keepingRoute("url", url, context.active);
  const { canonical, policy, route } = keeping;
  const exchange = getOf(url, new Headers(), keeping, context);
  const keyed = await keyRequest(exchange, { policy, route: route.route.id, cookie: null, deciding: new Set() });
  const epochs = await currentEpochs(exchange);
  const tiers = [...tiersOf({ env: context.env, policy })].map(
    async ({ tier }) => [tier.name, await has(tier)] as const,
  );
  return json({
    url,
    route: route.route.id,
    key: keyed.key,
    arePurgesKnown: epochs !== undefined,
    tiers: Object.fromEntries(await Promise.all(tiers)),
  });

  async function has(tier: Tier) {
    try {
      const record = await recordAt(tier, keyed.address);
      if (record === undefined) return { kind: "nothing" };
      if (record.kind === "response") return { kind: "response", ...viewOf(record) };
      const { vary, since, variants } = record;
      const records = await Promise.all(variants.map((address) => recordAt(tier, address)));
      const views = records.flatMap((one) => (one?.kind === "response" ? [viewOf(one, since)] : []));
      return { kind: "variants", vary, since: timeOf(since), variants: views };
    } catch {
      return { kind: "failed" };
    }
  }

  function viewOf({ variant, stored }: Extract<CacheRecord, { kind: "response" }>, since = 0) {
    const { status, fields, requestedAt, bytesRequestedAt, bodyBytes } = stored;
    const tags = [...stored.tags, ...policy.tags];
    const { host, path } = canonical;
    const known = { requestedAt, bytesRequestedAt, key: keyed.resource, route: route.route.id, method: "GET" };
    const groups = policy.groupInvalidation ? groupTagsOf(`${exchange.client.scheme}://${host}`, fields) : [];
    const purge =
      epochs &&
      afterGroups(
        purgeVerdict({ ...known, host, path, tags }, epochs),
        { requestedAt, groups },
        epochs,
        invalidatedHere,
      );
    const freshness = storedFreshness(stored, policy);
    const how = purge && answerOf({ stored, freshness, purge }, Date.now());
    const state = requestedAt < since ? "dead" : how === undefined ? "unknown" : STATES[how.kind];
    const ttlMs = how !== undefined && "ttlMs" in how ? how.ttlMs : null;
    const names = fields.map(([name]) => name);
    const at = { requestedAt: timeOf(requestedAt), bytesRequestedAt: timeOf(bytesRequestedAt) };
    return { variant, state, ttlMs, status, ...at, bodyBytes, tags, fields: names };
  }
}

/** What may be made of it, by how a request would be answered. */
const STATES = {
  fresh: "fresh",
  stale: "stale",
  validate: "to be confirmed",
  miss: "dead",
  unsatisfiable: "dead",
} as const;

async function recordAt(tier: Tier, address: string): Promise<CacheRecord | undefined> {
  const kept = await within(tier.read(address), TIER_MS, () => new Error("the tier is slow"));
  if (kept !== undefined) drop(kept.body);
  return kept?.record;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
