import type { BanNotice } from "../../objects/rate-limiter/messages.ts";
import type { LimiterPolicy, RateLimit } from "../../schemas/index.ts";
import { GatewayError } from "../errors.ts";
import type { Exchange, Handler, Step } from "../exchange.ts";
import { compileLimits, type LimitDecision } from "../limits/decide.ts";
import { rateLimitHeaders, seconds, type Verdict } from "../limits/headers.ts";
import type { ChainEnd, Claim } from "../limits/part.ts";
import { strippedFields } from "../limits/asked/settle.ts";

/**
 * Lets a request pass when every limit of its client has a token for it, and takes them all or none. The count is the
 * fleet's, not this isolate's: what is spent here was lent by the client's owner, or the owner decides itself.
 */
export function limit(limits: readonly RateLimit[], policy: LimiterPolicy): Step {
  const decide = compileLimits(limits, policy);
  const stripped = strippedFields(limits);
  return stripped.length === 0 ? limitStep : stripStep;

  function limitStep(exchange: Exchange, next: Handler): Promise<Response> {
    const startedAt = Date.now();
    const decision = decide(exchange, startedAt);
    // A turn of the microtask queue for each request is worth sparing: most are decided by now.
    if (!(decision instanceof Promise)) return proceed(exchange, decision, next);
    return decision.then((decided) => {
      exchange.notes.limitMs = Date.now() - startedAt;
      return proceed(exchange, decided, next);
    });
  }

  /** Also for exempt clients: what a request costs is between the origin and the gateway. */
  async function stripStep(exchange: Exchange, next: Handler): Promise<Response> {
    const response = await limitStep(exchange, next);
    for (const name of stripped) response.headers.delete(name);
    return response;
  }
}

function proceed(exchange: Exchange, decision: LimitDecision, next: Handler): Promise<Response> {
  const { verdicts, degraded, committed, ban } = decision;
  if (degraded !== undefined) exchange.notes.degraded = [...degraded];
  const told = verdicts.some(({ limit: { shadow } }) => shadow) ? withoutShadows(exchange, verdicts) : verdicts;
  if (told.length > 0) exchange.responseHeaders.push(...rateLimitHeaders(told));
  if (ban !== undefined) {
    const refuse = () => Promise.reject(banned(ban));
    return committed === undefined ? refuse() : finished(exchange, committed, refuse);
  }
  if (told.some(({ allowed }) => !allowed)) return Promise.reject(quotaExceeded(told));
  return committed === undefined ? next(exchange) : finished(exchange, committed, next);
}

function withoutShadows(exchange: Exchange, verdicts: readonly Verdict[]): readonly Verdict[] {
  const shadowed = verdicts.filter((verdict) => !verdict.allowed && verdict.limit.shadow);
  if (shadowed.length > 0) exchange.notes.shadowed = shadowed.map((verdict) => verdict.limit.id);
  return verdicts.filter((verdict) => !verdict.limit.shadow);
}

/** Runs the rest of the chain, and tells those who want to know how that went. */
async function finished(exchange: Exchange, claims: readonly Claim[], next: Handler): Promise<Response> {
  const tell = (end: Omit<ChainEnd, "body">) => {
    for (const claim of claims) claim.finish?.({ ...end, body: exchange.notes.body });
  };
  try {
    const response = await next(exchange);
    tell({ response, error: undefined });
    return response;
  } catch (error) {
    tell({ response: undefined, error });
    throw error;
  }
}

function banned({ remainingMs }: BanNotice): GatewayError {
  const retryAfter = seconds(remainingMs);
  return new GatewayError("abnormal-usage-detected", {
    detail: `This client is banned; come back in ${retryAfter} s.`,
    headers: { "retry-after": String(retryAfter) },
  });
}

/** The answer waits for the limit that returns last: coming back sooner would only be refused again. */
function quotaExceeded(told: readonly Verdict[]): GatewayError {
  const refused = told.filter(({ allowed }) => !allowed);
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
