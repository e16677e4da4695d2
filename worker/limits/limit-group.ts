import type { LimitKey, RateLimit } from "../../schemas/index.ts";
import type { LimitItem } from "../../objects/rate-limiter/limit-item.ts";
import { pardonsAnyone, sameIdentity } from "./bans/pardon.ts";
import { isSettled } from "./asked/settled-cost.ts";

/** Who decides: permits that this isolate holds, the owner each time, or a lease of this isolate. */
export type PartKind = "permits" | "asked" | "leased";

/** Limits that tell clients apart in the same way, which gives them one owner, and that are decided in the same way. */
export interface LimitGroup {
  readonly kind: PartKind;
  readonly by: readonly LimitKey[];
  readonly clients: "pooled" | "own";
  readonly limits: readonly RateLimit[];
  /** How long a request may wait for the owner in all, in milliseconds. */
  readonly deadlineMs: number;
  /** Whether owners decide also about banned clients, because a ban under these limits does not stop everybody. */
  readonly evenIfBanned: boolean;
}

/** Cuts the limits of a route into groups, each in the order of the configuration. */
export function groupLimits(limits: readonly RateLimit[]): readonly LimitGroup[] {
  const groups = new Map<string, RateLimit[]>();
  for (const limit of limits) {
    const key = JSON.stringify([kindOf(limit), limit.by, limit.clients, limit.exempt]);
    groups.set(key, [...(groups.get(key) ?? []), limit]);
  }
  return [...groups.values()].flatMap((members) => {
    const [first] = members;
    if (first === undefined) return [];
    const deadlineMs = Math.min(...members.map((limit) => limit.deadlineMs));
    // All limits with the same owner: a ban is of the client, whichever of them it came from.
    const evenIfBanned = pardonsAnyone(limits.filter((limit) => sameIdentity(limit) === sameIdentity(first)));
    return { kind: kindOf(first), by: first.by, clients: first.clients, limits: members, deadlineMs, evenIfBanned };
  });
}

/** A limit as messages to its owner state it: in units, and without what only the Worker acts on. */
export function limitItem(limit: RateLimit): LimitItem & { readonly shadow: boolean } {
  const { id, windowMs, algorithm, calendar, unitsPerToken, shadow } = limit;
  const item = {
    policy: id,
    tokensPerWindow: limit.requestsPerWindow * unitsPerToken,
    windowMs,
    burst: limit.burst * unitsPerToken,
    shadow,
  };
  if (algorithm === "token-bucket" || algorithm === "concurrency") return item;
  return calendar === undefined ? { ...item, algorithm } : { ...item, algorithm, calendar };
}

/**
 * Tokens can be lent where they are spent for good the moment that a request passes. What is settled or counted only
 * when the response is known, and the approximate window, are decided by the owner each time.
 */
function kindOf(limit: RateLimit): PartKind {
  const { algorithm, mode } = limit;
  if (algorithm === "concurrency") return "permits";
  return mode === "leased" && !isSettled(limit) && algorithm !== "approximate-sliding-window" ? "leased" : "asked";
}
