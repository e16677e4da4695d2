import { ORIGIN_SAYS, type OriginSays } from "../../../objects/dedup/flight-messages.ts";
import { GatewayError } from "../../errors.ts";
import type { Exchange, Handler } from "../../exchange.ts";
import { decidingFields } from "../../upstream/prepare-request.ts";
import { fieldsOf } from "../fields.ts";
import { headFactsOf } from "../head-facts.ts";
import { NO_REQUEST_RULES } from "../request-rules.ts";
import { SHARE_ALONE } from "../share-alone.ts";
import { stripCookies } from "../stored-response.ts";
import type { Asking } from "./asking.ts";
import { fetchAnew, type Anew } from "./fetch-anew.ts";
import { fillBody } from "./fill-body.ts";
import { received } from "./fill.ts";
import { keyRequest } from "./keyed-request.ts";

/**
 * Asks the origin for the owner of a flight, and tells it in a field of the answer what that is, or why there is none. Keeps what may be
 * kept, once for all who wait, though they all have gone.
 *
 * @param exchange of a request that is what was keyed already.
 */
export async function answerFlight(exchange: Exchange, next: Handler): Promise<Response> {
  const { route } = exchange.route;
  const policy = route.cache ?? SHARE_ALONE;
  const cookie = exchange.fields.get("cookie");
  const keyed = await keyRequest(exchange, { policy, route: route.id, cookie, deciding: decidingFields(route) });
  const asking: Asking = {
    exchange,
    next,
    policy,
    keyed,
    rules: NO_REQUEST_RULES,
    kept: undefined,
    candidate: undefined,
    missed: "uri-miss",
    since: 0,
    flights: undefined,
  };
  const stop = new AbortController();
  // The owner has given it up.
  exchange.request.signal.addEventListener("abort", () => stop.abort(), { once: true });
  let anew: Anew;
  try {
    anew = await fetchAnew(asking, { stop });
  } catch (error) {
    return said(new Response(null), { kind: "failed", failure: failureOf(error, exchange.notes.isSent === true) });
  }
  const { answer, keep, requestedAt, bytesRequestedAt, receivedAt, notes } = anew;
  const { status, headers } = answer;
  const facts = headFactsOf(received(asking, { status, fields: fieldsOf(headers), receivedAt }), requestedAt, policy);
  // What stands in for the origin is for nobody else: the next may meet the origin again.
  const told = notes.fallback === undefined ? facts : { ...facts, isPrivate: true };
  const says: OriginSays = {
    kind: "head",
    facts: told,
    requestedAt,
    bytesRequestedAt,
    receivedAt,
    notes: logged(notes),
  };
  if (policy.stripSetCookie) stripCookies(headers);
  if (keep === undefined) return said(answer, says);
  const { body, whole } = fillBody(answer, policy.maxBytes);
  exchange.ctx.waitUntil(whole.then(keep));
  return said(new Response(body, { status, headers, encodeBody: "manual" }), says);
}

function said(answer: Response, says: OriginSays): Response {
  // A field takes no more than Latin-1.
  const text = JSON.stringify(says).replace(
    /[^\x20-\x7e]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  answer.headers.set(ORIGIN_SAYS, text);
  return answer;
}

function logged({
  body: _body,
  clientMs: _clientMs,
  isSent: _isSent,
  ...rest
}: Exchange["notes"]): Readonly<Record<string, unknown>> {
  return rest;
}

function failureOf(error: unknown, wasSent: boolean) {
  if (!(error instanceof GatewayError)) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { code: "internal-error", detail: "The gateway failed.", reason, wasSent };
  }
  const { code, message, headers, cause } = error;
  const retryAfter = headers["retry-after"];
  return {
    code,
    detail: message,
    wasSent,
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(cause === undefined ? {} : { reason: cause instanceof Error ? cause.message : JSON.stringify(cause) }),
  };
}
