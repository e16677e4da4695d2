import type { Backend, Route } from "../../schemas/index.ts";
import type { Exchange, Handler } from "../exchange.ts";
import { watched } from "../watch.ts";
import { fetchUpstream } from "./fetch.ts";
import { prepareRequest } from "./prepare-request.ts";
import { relayAnswer } from "./relay-answer.ts";
import type { OutgoingBody } from "./request-body.ts";
import { compileTargetUrl } from "./target-url.ts";

/**
 * The end of a route's chain: forwards the exchange to its backend and relays the answer. Part of the tail that objects
 * reach through the `Origin` entrypoint.
 */
export function proxy(route: Route, backend: Backend): Handler {
  const [target] = backend.targets;
  if (target === undefined) throw new Error(`backend ${backend.name} has no target`);
  const urlOf = compileTargetUrl(route.path, target.url);
  const { timeouts } = route;

  return prepareRequest(route, sendOnce);

  function sendOnce(exchange: Exchange, headers: Headers, body: OutgoingBody): Promise<Response> {
    const { canonical, deadline, stop } = exchange;
    const { method } = canonical;
    const sentAt = Date.now();
    const url = urlOf(canonical.path, canonical.query);
    return watched(async (watch) => {
      const upstream = { url, method, headers, body, timeouts, sentAt, deadline, signal: stop?.signal };
      const response = await fetchUpstream(upstream, watch);
      const answeredAt = Date.now();
      exchange.notes.upstreamMs = answeredAt - sentAt;
      const answer = relayAnswer({ exchange, method, response, answeredAt, timeouts, watch });
      return answer instanceof Promise ? await answer : answer;
    });
  }
}
