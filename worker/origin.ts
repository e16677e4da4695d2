import { WorkerEntrypoint } from "cloudflare:workers";
import { parseCanonical } from "./canonical.ts";
import { activeConfig } from "./config/active.ts";
import { GatewayError } from "./errors.ts";
import { problemResponse } from "./problem.ts";
import { readFields } from "./request-fields.ts";

/** Under which route, and for whom, an object asks for an upstream. */
export interface OriginProps {
  readonly route: string;
  readonly requestId: string;
  /** The client on whose behalf the object asks; a probe of its own has none. */
  readonly client?: { readonly address: string; readonly forwardedFor: string };
}

/**
 * The inner entrypoint, reached through `ctx.exports` alone: runs the tail of a route's chain for objects that need an
 * upstream (a coalesced flight, a relay's dial, a health probe). Policies about clients were applied before the object
 * was asked; the ones about backends are applied here, in one place for everyone.
 */
export class Origin extends WorkerEntrypoint<Env, OriginProps> {
  override async fetch(request: Request): Promise<Response> {
    const { route: routeId, requestId, client } = this.ctx.props;
    try {
      return await this.#forward(request, routeId, requestId, client ?? { address: "", forwardedFor: "" });
    } catch (error) {
      return problemResponse(error, requestId);
    }
  }

  async #forward(
    request: Request,
    routeId: string,
    requestId: string,
    client: { address: string; forwardedFor: string },
  ): Promise<Response> {
    const receivedAt = Date.now();
    const active = await activeConfig(this.env, this.ctx);
    const route = active.routes.get(routeId);
    if (route === undefined)
      throw new GatewayError("route-not-found", {
        detail: `Route ${routeId} is not in configuration ${active.version}.`,
      });
    const canonical = parseCanonical(request.method, request.url);
    if (!canonical.ok) throw new GatewayError("invalid-path", { detail: `${canonical.detail}.` });
    return route.tail({
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
      env: this.env,
      ctx: this.ctx,
      responseHeaders: [],
      notes: {},
    });
  }
}
