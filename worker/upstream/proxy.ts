import type { Backend, Route } from "../../schemas/index.ts";
import type { Exchange, Handler } from "../exchange.ts";
import { watched } from "../watch.ts";
import { fetchUpstream } from "./fetch.ts";
import { NOTHING, outgoingBody, type OutgoingBody } from "./request-body.ts";
import { requestHeaders } from "./request-headers.ts";
import { relayedBody } from "./response-body.ts";
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

  function send(exchange: Exchange, headers: Headers, body: OutgoingBody): Promise<Response> {
    const { canonical, deadline, stop } = exchange;
    const { method } = canonical;
    const sentAt = Date.now();
    const url = urlOf(canonical.path, canonical.query);
    return watched(async (watch) => {
      const upstream = { url, method, headers, body, timeouts, sentAt, deadline, signal: stop?.signal };
      const response = await fetchUpstream(upstream, watch);
      const answeredAt = Date.now();
      exchange.notes.upstreamMs = answeredAt - sentAt;
      if (NULL_BODY.has(response.status)) {
        await response.body?.cancel();
        return relayed(null, response);
      }
      const taken = relayedBody({ exchange, method, response, answeredAt, timeouts, watch });
      const { body: passedOn, ended } = taken instanceof Promise ? await taken : taken;
      if (ended !== undefined) exchange.notes.body = ended;
      return relayed(passedOn, response);
    });
  }

  return function forward(exchange: Exchange): Promise<Response> {
    const { request, receivedAt } = exchange;
    const headers = requestHeaders(exchange, deciding);
    // Each await costs a turn of the microtask queue, and most requests have no body to wait for.
    if (request.body === null) return send(exchange, headers, NOTHING);
    const terms = { limits: sizeLimits, timeouts, receivedAt };
    return outgoingBody(request, terms).then((body) => send(exchange, headers, body));
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

/** Made from the origin's, so the runtime copies the fields once and keeps a coded body's bytes as they are. */
function relayed(body: BodyInit | null, origin: Response): Response {
  const response = new Response(body, origin);
  stripConnection(response.headers);
  return response;
}
