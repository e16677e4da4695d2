import type { RateLimit } from "../../schemas/index.ts";
import { GatewayError } from "../errors.ts";
import type { Exchange, Step } from "../exchange.ts";
import { rateLimitHeaders, seconds, type Verdict } from "../limits/headers.ts";
import { compileLimits, type LimitDecision } from "../limits/decide.ts";
import { unlessExempt } from "../limits/exempt.ts";

/**
 * Lets a request pass when every limit of its client has a token for it, and takes them all or none. Decided by each
 * client's owner, so the count is the fleet's, not this isolate's.
 */
export function limit(limits: readonly RateLimit[]): Step {
  const decideFor = unlessExempt(limits, compileLimits);
  return async function limitStep(exchange, next) {
    const decide = decideFor(exchange);
    if (decide === undefined) return next(exchange);
    const decision = await decide(exchange);
    report(exchange, decision);
    const refused = decision.verdicts.filter((verdict) => !verdict.allowed && !verdict.limit.shadow);
    if (refused.length > 0) throw quotaExceeded(refused);
    return next(exchange);
  };
}

function report(exchange: Exchange, decision: LimitDecision): void {
  const { verdicts, degraded, waitedMs } = decision;
  exchange.notes.limitMs = waitedMs;
  if (degraded.length > 0) exchange.notes.degraded = [...degraded];
  const shadowed = verdicts.filter((verdict) => !verdict.allowed && verdict.limit.shadow);
  if (shadowed.length > 0) exchange.notes.shadowed = shadowed.map((verdict) => verdict.limit.id);
  const told = verdicts.filter((verdict) => !verdict.limit.shadow);
  if (told.length > 0) exchange.responseHeaders.push(...rateLimitHeaders(told));
}

/** The answer waits for the limit that returns last: coming back sooner would only be refused again. */
function quotaExceeded(refused: readonly Verdict[]): GatewayError {
  const waits = refused.map((verdict) => verdict.retryAfterMs);
  const names = refused.map((verdict) => verdict.limit.name);
  const never = waits.includes(null);
  const retryAfter = seconds(Math.max(...waits.map((wait) => wait ?? 0)));
  return new GatewayError("quota-exceeded", {
    detail: never
      ? `This request costs more than ${names.join(", ")} ever allows at once.`
      : `The limit ${names.join(", ")} is used up; come back in ${retryAfter} s.`,
    headers: never ? {} : { "retry-after": String(retryAfter) },
    members: { "violated-policies": names },
  });
}
