import { parseCanonical } from "../../canonical.ts";
import type { Exchange } from "../../exchange.ts";
import { placementsOf } from "../../placements.ts";
import { invalidatedUrls } from "../invalidation.ts";
import { invalidateGroups } from "./group-invalidation.ts";
import { keyRequest, type KeyTerms } from "./keyed-request.ts";
import { invalidateResponses } from "../tiers/shelves.ts";

/**
 * Makes useless what a request with an unsafe method has made wrong: its own URL, and what its answer names of the same origin, where that
 * is of the same route, wherever requests of it are placed. This isolate knows at once; others of the same place once the tier does. Where
 * the route lets it, groups that its answer names too.
 */
export async function invalidateAfter(exchange: Exchange, answer: Response, terms: KeyTerms): Promise<void> {
  if (terms.policy.groupInvalidation) invalidateGroups(exchange, answer);
  const { placement: _placement, ...anywhere } = exchange;
  const { canonical, client } = exchange;
  const { method, host, path, query } = canonical;
  const { status, headers } = answer;
  const urls = invalidatedUrls({
    method,
    url: `${client.scheme}://${host}${path}${query}`,
    status,
    location: headers.get("location"),
    contentLocation: headers.get("content-location"),
  });
  for (const url of urls) {
    const parsed = parseCanonical("GET", url);
    if (!parsed.ok) continue;
    for (const placement of placementsOf(exchange.route.route)) {
      const placed = { ...anywhere, canonical: parsed.request, ...(placement === undefined ? {} : { placement }) };
      const keyed = await keyRequest(placed, terms);
      exchange.ctx.waitUntil(invalidateResponses(keyed, { env: exchange.env, policy: terms.policy }, Date.now()));
    }
  }
}
