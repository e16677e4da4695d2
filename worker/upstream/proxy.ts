import type { Backend, BreakerSettings, Route } from "../../schemas/index.ts";
import type { Release } from "../../objects/connection-pool/pool.ts";
import { stickyOf, type Sticky } from "../backends/sticky.ts";
import type { Exchange, Handler } from "../exchange.ts";
import { mirrored } from "./mirrored.ts";
import { watched } from "../watch.ts";
import { fetchUpstream } from "./fetch.ts";
import { prepareRequest, type Send } from "./prepare-request.ts";
import { compileRefusal, REFUSE, type StandIn } from "./refusal.ts";
import { relayAnswer } from "./relay-answer.ts";
import type { OutgoingBody } from "./request-body.ts";
import { compileTargetUrl } from "./target-url.ts";
import { noTurn, takeTurn } from "./turn.ts";
import { compileTries, type TriesTerms } from "./tries.ts";

/**
 * The end of a route's chain: forwards the exchange to its backend and relays the answer. Part of the tail that objects
 * reach through the `Origin` entrypoint.
 *
 * @param backends all that there are: one may stand in for another.
 * @param places the route with each backend that its requests may go to: none sees what binds a client to a target of another.
 */
export function proxy(
  route: Route,
  backends: ReadonlyMap<string, Backend>,
  places: readonly Route[] = [route],
): Handler {
  const { circuitBreaker } = route;
  const all = places.map(({ backend }) => backendOf(backends, backend));
  const own = backendOf(backends, route.backend);
  const refusal = compileRefusal(circuitBreaker?.fallback, (name) =>
    standIn(route, backendOf(backends, name), stripOf(all)),
  );
  const strip = stripOf(all.filter((one) => one !== own));
  const mirror = route.mirror === undefined ? undefined : (send: Send) => mirrored(route, { own, backends, send });
  return way(route, own, { breaker: circuitBreaker, refusal, strip, mirror }).handle;
}

/** Takes out what is between a client and these backends; undefined: nothing. */
function stripOf(backends: readonly Backend[]): Sticky["strip"] | undefined {
  const strips = backends.flatMap((one) => (one.sticky === undefined ? [] : [stickyOf(one.sticky, one).strip]));
  if (strips.length < 2) return strips[0];
  return (headers) => {
    for (const strip of strips) strip(headers);
  };
}

/**
 * A backend as another's fallback, by its own breaker. No backend stands in for it: a request meets two at most.
 *
 * @param strip what is between a client and the other backend; undefined: nothing.
 */
function standIn(route: Route, backend: Backend, strip: Sticky["strip"] | undefined): StandIn {
  const { circuitBreaker } = backend;
  const own = circuitBreaker?.fallback;
  const refusal = compileRefusal(own?.kind === "response" ? own : undefined, () => {
    throw new Error("a static answer has no backend");
  });
  return way(route, backend, { breaker: circuitBreaker, refusal, strip });
}

/** What a way goes by beside its route and backend. */
interface WayTerms extends TriesTerms {
  /** Takes out what the origins here must not see of a request that no other backend has prepared. Default nothing. */
  readonly strip?: Sticky["strip"] | undefined;
  /** Copies what is sent. Default nothing. */
  readonly mirror?: ((send: Send) => Send) | undefined;
}

/** The way of a route's requests to a backend. What is not configured is not on it. */
function way(route: Route, backend: Backend, { breaker, refusal, strip, mirror = same }: WayTerms): StandIn {
  if (isPlain(backend, breaker)) {
    const send = sendOnce(route, backend);
    return { send, handle: prepareRequest(route, mirror(stripped(send, strip))) };
  }
  const tries = compileTries(route, backend, { breaker, refusal });
  const prepared = prepareRequest(route, mirror(stripped(tries.send, strip)));
  function handle(exchange: Exchange): Promise<Response> {
    const none = tries.refusal(exchange, Date.now());
    return none === undefined ? prepared(exchange) : refusal.handle(exchange, none);
  }
  return { send: tries.send, handle };
}

function same(send: Send): Send {
  return send;
}

function stripped(send: Send, strip: Sticky["strip"] | undefined): Send {
  if (strip === undefined) return send;
  return (exchange, headers, body) => {
    strip(headers);
    return send(exchange, headers, body);
  };
}

/** Whether there is nothing to choose, to judge or to try again. */
function isPlain(
  { targets, retry, hedge, healthCheck, quota, concurrency }: Backend,
  breaker: BreakerSettings | undefined,
): boolean {
  const policies = [breaker, retry, hedge, healthCheck, quota, concurrency];
  return targets.length === 1 && policies.every((policy) => policy === undefined);
}

/** One try at the only target. */
function sendOnce(route: Route, backend: Backend): Send {
  const [target] = backend.targets;
  if (target === undefined) throw new Error(`backend ${backend.name} has no target`);
  const { url: targetUrl } = target;
  const urlOf = compileTargetUrl(route.path, targetUrl);
  const { timeouts } = route;

  return (exchange, headers, body) =>
    exchange.pool === undefined ? send(exchange, headers, body, noTurn) : sendInTurn(exchange, headers, body);

  async function sendInTurn(exchange: Exchange, headers: Headers, body: OutgoingBody): Promise<Response> {
    const turn = await takeTurn(exchange, backend.name, true);
    return typeof turn === "function"
      ? await send(exchange, headers, body, turn)
      : await REFUSE.send({ exchange, headers, body }, turn);
  }

  function send(exchange: Exchange, headers: Headers, body: OutgoingBody, turn: Release): Promise<Response> {
    const { canonical, deadline, stop, pool } = exchange;
    const { method } = canonical;
    const sentAt = Date.now();
    const url = urlOf(canonical.path, canonical.query);
    exchange.notes.isSent = true;
    if (exchange.isUpgrade === true) exchange.notes.target = targetUrl;
    return watched(async (watch) => {
      const upstream = { url, method, headers, body, timeouts, sentAt, deadline, signal: stop?.signal };
      const head = fetchUpstream(upstream, watch);
      const response = await (pool === undefined ? head : head.finally(turn));
      const answeredAt = Date.now();
      exchange.notes.upstreamMs = answeredAt - sentAt;
      const answer = relayAnswer({ exchange, method, response, answeredAt, timeouts, wholeBy: Infinity, watch });
      return answer instanceof Promise ? await answer : answer;
    }, exchange.isUpgrade);
  }
}

function backendOf(backends: ReadonlyMap<string, Backend>, name: string): Backend {
  const backend = backends.get(name);
  if (backend === undefined) throw new Error(`backend ${name} is not configured, which validation let through`);
  return backend;
}
