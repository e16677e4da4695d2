import { WorkerEntrypoint } from "cloudflare:workers";
import type { HealthAnswer, HealthQuestion } from "../objects/circuit-breaker/health-messages.ts";
import { EVENT } from "../objects/web-socket-relay/callback/event-reply.ts";
import { isOutdated } from "../objects/config-version.ts";
import { answerFlight } from "./cache/flow/answer-flight.ts";
import { parseCanonical } from "./canonical.ts";
import { activeConfig } from "./config/active.ts";
import { GatewayError } from "./errors.ts";
import type { Exchange, Placement } from "./exchange.ts";
import { problemResponse } from "./problem.ts";
import { readFields } from "./request-fields.ts";
import { checkHealth } from "./upstream/health-check.ts";

/** Under which route, and for whom, an object asks for an upstream. */
export interface OriginProps {
  readonly route: string;
  readonly requestId: string;
  /** The client on whose behalf the object asks; a probe of its own has none. */
  readonly client?: { readonly address: string; readonly forwardedFor: string };
  /** Where it goes; absent: to the route's backend. */
  readonly placement?: Placement;
  /** What the gateway itself says to the origin, in fields of the names that no client can send (`x-sluice-`). */
  readonly event?: Readonly<Record<string, string>>;
  /** For whoever gives the response to several: which configuration it goes by. It is told of the response in a field of it. */
  readonly flight?: { readonly configVersion: number };
}

/**
 * The inner entrypoint, reached through `ctx.exports` alone: runs the tail of a route's chain for objects that need an
 * upstream (a coalesced flight, a relay's event, a health probe). Policies about clients were applied before the object
 * was asked; the ones about backends are applied here, in one place for everyone.
 */
export class Origin extends WorkerEntrypoint<Env, OriginProps> {
  override async fetch(request: Request): Promise<Response> {
    const { env, ctx } = this;
    const { props } = ctx;
    let exchange: Exchange | undefined;
    try {
      exchange = await exchangeFor(request, props, { env, ctx });
      const { tail } = exchange.route;
      return await (props.flight === undefined ? tail(exchange) : answerFlight(exchange, tail));
    } catch (error) {
      const isLost = props.event !== undefined && exchange?.notes.isSent === true;
      return problemResponse(error, props.requestId, isLost ? [[EVENT.lost, "1"]] : []);
    }
  }

  /**
   * Probes a target of a backend as the active configuration says, for the object that owns the target. What is not
   * configured is not probed, so nobody who reaches an object reaches an address of his choice. Never rejects.
   */
  async checkHealth({ target, backend: name, configVersion }: HealthQuestion): Promise<HealthAnswer> {
    try {
      const { version, config } = await activeConfig(this.env, this.ctx);
      // Whoever asked for checks knows more than this isolate.
      if (isOutdated(version, configVersion))
        return unknown(`configuration ${version} is active here, not yet ${configVersion}`);
      const backend = config.backends.get(name);
      const check = backend?.healthCheck;
      const isTarget = backend?.targets.some(({ url }) => url === target) === true;
      if (check === undefined || !isTarget) return { kind: "not-configured" };
      return { kind: "judged", ...(await checkHealth(target, check, crypto.randomUUID())) };
    } catch (error) {
      return unknown(error instanceof Error ? error.message : String(error));
    }
  }
}

/** What an object asks, as an exchange of its route. @throws GatewayError when the active configuration has no such route, or is not that of the flight. */
export async function exchangeFor(
  request: Request,
  { route: routeId, requestId, placement, event, flight, client = { address: "", forwardedFor: "" } }: OriginProps,
  { env, ctx }: Pick<Exchange, "env" | "ctx">,
): Promise<Exchange> {
  const receivedAt = Date.now();
  const active = await activeConfig(env, ctx);
  const route = active.routes.get(routeId);
  if (route === undefined)
    throw new GatewayError("route-not-found", {
      detail: `Route ${routeId} is not in configuration ${active.version}.`,
    });
  // What may be shared was decided by that one.
  if (flight !== undefined && isOutdated(active.version, flight.configVersion))
    throw new GatewayError("dependency-unavailable", {
      detail: `Configuration ${active.version} is active here, not yet ${flight.configVersion}.`,
    });
  const canonical = parseCanonical(request.method, request.url);
  if (!canonical.ok) throw new GatewayError("invalid-path", { detail: `${canonical.detail}.` });
  return {
    request,
    canonical: canonical.request,
    fields: readFields(request.headers),
    requestId,
    route,
    configVersion: active.version,
    client: { ...client, network: client.address, scheme: canonical.request.scheme },
    principal: client.address,
    receivedAt,
    deadline: receivedAt + route.route.timeouts.total,
    env,
    ctx,
    responseHeaders: [],
    notes: {},
    ...(placement && { placement }),
    ...(event && { event }),
  };
}

function unknown(detail: string): HealthAnswer {
  return { kind: "unknown", detail };
}
