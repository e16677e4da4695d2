import type { HeadFacts } from "../../objects/dedup/sharing.ts";
import { ageOnArrival } from "./age.ts";
import type { CachePolicy } from "../../schemas/cache-policy.ts";
import { effectiveVary } from "./effective-vary.ts";
import { readerOf } from "./fields.ts";
import { freshnessOf } from "./freshness.ts";
import { rulesOf } from "./response-rules.ts";
import { storabilityOf, type Received } from "./storability.ts";
import { isCookie } from "./stored-response.ts";

/**
 * What the owner of a flight has to know of a head that has come, to decide who gets it. Whoever fetched it under the route's policy says
 * so; the flight doesn't take its word for what is storable alone, and is told the reasons too.
 *
 * @param requestedAt when the request began, in ms since the epoch.
 */
export function headFactsOf(received: Received, requestedAt: number, policy: CachePolicy): HeadFacts {
  const { status, receivedAt } = received;
  const fields = readerOf(received.fields);
  const rules = rulesOf(fields, policy.targetedFields);
  const freshness = freshnessOf({ status, fields, rules, receivedAt }, policy);
  const storability = storabilityOf(received, policy);
  // What is only of no use to a store may still be for those who wait. What may not be in one is for nobody else.
  const isForbidden = storability.kind === "pass" && storability.why !== "no-freshness" && storability.why !== "no-use";
  return {
    status,
    vary: effectiveVary(fields),
    // Where the route takes cookies out, it does so for the leader too.
    hasSetCookie: !policy.stripSetCookie && received.fields.some(([name]) => isCookie(name)),
    isPrivate: rules.isPrivate || isForbidden,
    isNoStore: rules.isNoStore && !rules.mustUnderstand,
    isNoCache: rules.isNoCache,
    isStorable: storability.kind === "store",
    ttlMs: freshness.lifetimeMs - ageOnArrival(fields, { requestedAt, receivedAt }),
    staleWhileRevalidateMs: freshness.staleWhileRevalidateMs,
  };
}
