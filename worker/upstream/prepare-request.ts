import type { Route } from "../../schemas/index.ts";
import type { Exchange, Handler } from "../exchange.ts";
import { NOTHING, outgoingBody, type OutgoingBody } from "./request-body.ts";
import { requestHeaders } from "./request-headers.ts";

/**
 * Sends a request that is ready, to whatever target, and resolves to the answer for the client.
 *
 * Three arguments and no object of them: this stands in the way of every request.
 */
export type Send = (exchange: Exchange, headers: Headers, body: OutgoingBody) => Promise<Response>;

/**
 * Prepares what of an upstream request does not depend on the target, once an exchange however often it is then sent: its header
 * fields and its body.
 *
 * @throws GatewayError of `requestHeaders` and `outgoingBody`, before anything is sent.
 */
export function prepareRequest(route: Route, send: Send): Handler {
  const { timeouts, sizeLimits } = route;
  const deciding = decidingFields(route);

  return function forward(exchange: Exchange): Promise<Response> {
    const { request, receivedAt, body: whole } = exchange;
    const headers = requestHeaders(exchange, deciding);
    if (whole !== undefined) return send(exchange, headers, { ...NOTHING, body: whole });
    // Each await costs a turn of the microtask queue, and most requests have no body to wait for.
    if (request.body === null) return send(exchange, headers, NOTHING);
    const terms = { limits: sizeLimits, timeouts, receivedAt };
    return outgoingBody(request, terms).then((body) => {
      exchange.notes.clientMs = body.clientMs;
      return send(exchange, headers, body);
    });
  };
}

/** Lower-case names of the fields that this route is met by, and that its policies tell clients and requests apart by. */
export function decidingFields(route: Route): ReadonlySet<string> {
  const { idempotency, canary } = route;
  const limits = [...route.rateLimits, ...(route.webSocket?.newSessions ?? [])];
  const shared = route.webSocket?.shared?.by ?? [];
  const keys = [...shared, ...limits.flatMap(({ by }) => by), ...(idempotency?.by ?? []), ...(canary?.by ?? [])];
  const identities = keys.map((key) => {
    if (key.kind === "cookie") return "cookie";
    return key.kind === "header" ? key.name : undefined;
  });
  if (canary?.cookie !== undefined) identities.push("cookie");
  const fields = [idempotency?.header, canary?.header, route.priority?.header];
  const names = [...route.headers.map(({ name }) => name), ...identities, ...fields];
  return new Set(names.filter((name) => name !== undefined));
}
