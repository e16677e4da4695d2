import type { RateLimit } from "../../schemas/index.ts";
import { GatewayError } from "../errors.ts";
import { labelOf, type Verdict } from "./headers.ts";
import { takeLocally } from "./local-buckets.ts";
import type { Outcome } from "./part.ts";

/**
 * Decides by the declared policy of each limit (`onError`) when its owner threw, is overloaded, left alone or too slow:
 * `local` by this isolate's share, `open` lets it pass.
 *
 * @param costs in units, in the order of the limits.
 * @throws GatewayError `dependency-unavailable` when a limit is `closed`.
 */
export function withoutOwner(
  limits: readonly RateLimit[],
  client: string,
  costs: readonly number[],
  cause: unknown,
): Outcome & { readonly degraded: readonly string[] } {
  const closed = limits.find((limit) => limit.onError === "closed" && !limit.shadow);
  if (closed !== undefined) {
    throw new GatewayError("dependency-unavailable", {
      detail: `The owner of the limit ${closed.name} does not answer, and without it this route stays closed.`,
      headers: { "retry-after": "1" },
      cause,
    });
  }
  const now = Date.now();
  const verdicts = limits.map((limit, index): Verdict => {
    const label = labelOf(limit, client);
    if (limit.onError !== "local") return { limit, label, allowed: true, remaining: 0, retryAfterMs: 0 };
    const { allowed, bucket, retryAfterMs } = takeLocally(limit, client, costs[index] ?? 0, now);
    return { limit, label, allowed, remaining: Math.floor(bucket.tokens / limit.unitsPerToken), retryAfterMs };
  });
  return { verdicts, degraded: limits.map((limit) => `${limit.id}: ${limit.onError}`) };
}
