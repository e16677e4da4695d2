import type { Backend, LimiterPolicy, Route } from "../../schemas/index.ts";
import { countTrials } from "../canary/compile-canary.ts";
import { GatewayError } from "../errors.ts";
import type { Handler, Step } from "../exchange.ts";
import { proxy } from "../upstream/proxy.ts";
import { relaySession } from "../web-socket/relay-session.ts";
import { SHARE_ALONE } from "../cache/share-alone.ts";
import { cache } from "./cache.ts";
import { guard } from "./guard.ts";
import { idempotency } from "./idempotency.ts";
import { limit } from "./limit.ts";
import { place } from "./place.ts";
import { handshake, webSocket } from "./web-socket.ts";

/**
 * What happens to a request of a route, in order. A policy that is not configured is not in the chain and costs nothing.
 * The chain is composed once per configuration version.
 */
export function chain(route: Route, backends: ReadonlyMap<string, Backend>, limiter: LimiterPolicy): Handler {
  const steps: Step[] = [];
  if (route.webSocket !== undefined) steps.push(handshake(route.webSocket));
  if (route.sizeLimits !== undefined) steps.push(guard(route.sizeLimits));
  if (route.rateLimits.length > 0) steps.push(limit(route.rateLimits, limiter));
  const placing = place(route, backends);
  if (placing !== undefined) steps.push(placing);
  if (route.webSocket !== undefined) {
    const { newSessions } = route.webSocket;
    const opened = newSessions.length === 0 ? undefined : limit(newSessions, limiter);
    steps.push(webSocket(relaySession(route.webSocket), opened));
  }
  if (route.idempotency !== undefined) steps.push(idempotency(route.idempotency));
  if (route.cache !== undefined || route.deduplication !== undefined) {
    steps.push(cache(route.cache ?? SHARE_ALONE, route, backends));
  }
  return compose(steps, forward(route, backends));
}

/**
 * The end of the chain, which objects that need an upstream run through the `Origin` entrypoint: no client policy. An exchange goes
 * where it was placed; one without a placement to the route's own backend.
 */
export function tail(route: Route, backends: ReadonlyMap<string, Backend>): Handler {
  const { id, canary } = route;
  const handle = forward(route, backends);
  return canary === undefined ? handle : countTrials(canary, id, handle);
}

function forward(route: Route, backends: ReadonlyMap<string, Backend>): Handler {
  const { id, alternatives } = route;
  const all = [route, ...alternatives];
  if (alternatives.length === 0) return proxy(route, backends);
  const ways = new Map(all.map((one) => [one.backend, proxy(one, backends, all)]));
  return (exchange) => {
    const name = exchange.placement?.backend ?? route.backend;
    const way = ways.get(name);
    // An object may ask under a placement of another configuration.
    if (way === undefined)
      throw new GatewayError("dependency-unavailable", {
        detail: `Route ${id} does not go to the backend ${name} here.`,
      });
    return way(exchange);
  };
}

function compose(steps: readonly Step[], last: Handler): Handler {
  return steps.reduceRight<Handler>((next, step) => (exchange) => step(exchange, next), last);
}
