import type { Backend, Route } from "../../schemas/index.ts";
import type { Exchange, Handler } from "../exchange.ts";
import { watched } from "../watch.ts";
import { fetchUpstream } from "./fetch.ts";
import { NOTHING, outgoingBody } from "./request-body.ts";
import { requestHeaders } from "./request-headers.ts";
import { relayedBody, type Relay } from "./response-body.ts";
import { stripConnection } from "./response-headers.ts";
import { compileTargetUrl } from "./target-url.ts";

/** RFC 9110 15.3.5, 15.4.5: these end at the head, and `Response` takes no body for them. */
const NULL_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

/**
 * The end of a route's chain: forwards the exchange to its backend and relays the answer. Part of the tail that objects
 * reach through the `Origin` entrypoint.
 */
export function proxy(route: Route, backend: Backend): Handler {
  const [target] = backend.targets;
  if (target === undefined) throw new Error(`backend ${backend.name} has no target`);
  const urlOf = compileTargetUrl(route.path, target.url);
  const { timeouts, sizeLimits } = route;
  const deciding = decidingFields(route);

  return async function forward(exchange: Exchange): Promise<Response> {
    const { request, canonical, receivedAt } = exchange;
    const { method } = canonical;
    const headers = requestHeaders(exchange, deciding);
    // Each await costs a turn of the microtask queue, and most requests have no body to wait for.
    const body =
      request.body === null ? NOTHING : await outgoingBody(request, { limits: sizeLimits, timeouts, receivedAt });
    const sentAt = Date.now();
    const url = urlOf(canonical.path, canonical.query);
    return watched(async (watch) => {
      const { deadline, stop } = exchange;
      const upstream = { url, method, headers, body, timeouts, sentAt, deadline, signal: stop?.signal };
      const response = await fetchUpstream(upstream, watch);
      const answeredAt = Date.now();
      exchange.notes.upstreamMs = answeredAt - sentAt;
      const signal = stop?.signal ?? request.signal;
      return relay(exchange, { signal, method, response, answeredAt, timeouts, watch });
    });
  };
}

/** Lower-case names of the fields that this route is met by, or that its limits tell clients apart by. */
function decidingFields(route: Route): ReadonlySet<string> {
  const identities = route.rateLimits.flatMap(({ by }) =>
    by.map((key) => {
      if (key.kind === "cookie") return "cookie";
      return key.kind === "header" ? key.name : undefined;
    }),
  );
  return new Set([...route.headers.map(({ name }) => name), ...identities.filter((name) => name !== undefined)]);
}

async function relay(exchange: Exchange, answer: Relay): Promise<Response> {
  const { response: origin } = answer;
  let body: BodyInit | null = null;
  if (NULL_BODY.has(origin.status)) {
    await origin.body?.cancel();
  } else {
    const relayed = await relayedBody(answer);
    if (relayed.ended !== undefined) exchange.notes.body = relayed.ended;
    body = relayed.body;
  }
  // Made from the origin's, so the runtime copies the fields once and keeps a coded body's bytes as they are.
  const response = new Response(body, origin);
  stripConnection(response.headers);
  return response;
}
