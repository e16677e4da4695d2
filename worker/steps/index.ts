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
export function chain(
  route: Route,
  backends: ReadonlyMap<string, Backend>,
  { limiter, mark }: { readonly limiter: LimiterPolicy; readonly mark: string | null },
): Handler {
  const steps: Step[] = [];
  if (route.webSocket !== undefined) steps.push(handshake(route.webSocket));
  if (route.sizeLimits !== undefined) steps.push(guard(route.sizeLimits));
  if (route.rateLimits.length > 0) steps.push(limit(route.rateLimits, limiter));
  const placing = place(route, backends);
  if (placing !== undefined) steps.push(placing);
  if (route.webSocket !== undefined) {
    const { newSessions, held } = route.webSocket;
    const opened = newSessions.length === 0 ? undefined : limit(newSessions, limiter);
    steps.push(webSocket(relaySession(route.webSocket, mark ?? ""), opened, held !== undefined));
  }
  if (route.idempotency !== undefined) steps.push(idempotency(route.idempotency));
  if (route.cache !== undefined || route.deduplication !== undefined) {
    steps.push(cache(route.cache ?? SHARE_ALONE, route, backends));
  }
  return compose(steps, forward(route, backends));
}

/**
 * The end of the chain, which objects that need an upstream run through the `Origin` entrypoint: no client policy. What they ask for is
 * counted where a release is tried out.
 */
export function tail(route: Route, backends: ReadonlyMap<string, Backend>): Handler {
  const { id, canary } = route;
  const names = new Set([route, ...route.alternatives].map(({ backend }) => backend));
  const handle = forward(route, backends);
  const counted = canary === undefined ? handle : countTrials(canary, id, handle);
  return (exchange) => {
    const name = exchange.placement?.backend;
    if (name === undefined || names.has(name)) return counted(exchange);
    // It was placed by another configuration.
    const detail = `Route ${id} does not go to the backend ${name} here.`;
    return Promise.reject(new GatewayError("dependency-unavailable", { detail }));
  };
}

/** Sends an exchange where it was placed; one without a placement to the route's own backend. */
function forward(route: Route, backends: ReadonlyMap<string, Backend>): Handler {
  const all = [route, ...route.alternatives];
  const own = proxy(route, backends, all);
  if (all.length === 1) return own;
  const ways = new Map(route.alternatives.map((one) => [one.backend, proxy(one, backends, all)]));
  return (exchange) => (ways.get(exchange.placement?.backend ?? "") ?? own)(exchange);
}

function compose(steps: readonly Step[], last: Handler): Handler {
  return steps.reduceRight<Handler>((next, step) => (exchange) => step(exchange, next), last);
}
