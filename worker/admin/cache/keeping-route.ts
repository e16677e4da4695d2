import type { CachePolicy } from "../../../schemas/index.ts";
import { parseCanonical, type CanonicalRequest } from "../../canonical.ts";
import type { CompiledRoute } from "../../config/compile.ts";
import { GatewayError } from "../../errors.ts";
import type { Exchange } from "../../exchange.ts";
import { readFields } from "../../request-fields.ts";
import type { AdminContext } from "../index.ts";

/** A URL of which responses are kept, and the route that does. */
export interface KeepingRoute {
  readonly canonical: CanonicalRequest;
  readonly route: CompiledRoute;
  readonly policy: CachePolicy;
}

/**
 * What is kept for a URL is kept by the route that takes a GET of it.
 *
 * @param name of what gave the URL, for errors.
 * @throws GatewayError `invalid-request` for what is no URL, `not-found` where no route takes it that keeps responses.
 */
export function keepingRoute(name: string, url: string, { matcher }: AdminContext["active"]): KeepingRoute {
  const parsed = parseCanonical("GET", url);
  if (!parsed.ok) {
    const got = url === "" ? "nothing" : JSON.stringify(url);
    const example = "https://shop.example.com/shoes?size=43";
    throw invalid(
      `${name}: got ${got}, wanted a whole URL of a route that keeps responses, such as ${example}: ${parsed.detail}`,
    );
  }
  const match = matcher.match({ ...parsed.request, headers: { get: () => null } });
  const policy = match.kind === "found" ? match.entry.route.cache : undefined;
  if (match.kind !== "found" || policy === undefined) {
    throw new GatewayError("not-found", { detail: `No route that keeps responses takes a GET of ${url}.` });
  }
  return { canonical: parsed.request, route: match.entry, policy };
}

/** A GET of a URL as the operator would send it who asks, with no other fields than these. */
export function getOf(
  url: string,
  headers: Headers,
  { canonical, route }: KeepingRoute,
  asking: AdminContext,
): Exchange {
  const { active, env, ctx } = asking;
  const request = new Request(url, { headers });
  const client = { ...active.clientOf(asking.request, canonical.scheme), scheme: canonical.scheme };
  const receivedAt = Date.now();
  return {
    request,
    canonical,
    fields: readFields(request.headers),
    requestId: crypto.randomUUID(),
    route,
    configVersion: active.version,
    client,
    principal: client.address,
    receivedAt,
    deadline: receivedAt + route.route.timeouts.total,
    env,
    ctx,
    responseHeaders: [],
    notes: {},
  };
}

/** 400 `invalid-request`. */
export function invalid(detail: string): GatewayError {
  return new GatewayError("invalid-request", { detail: `${detail}.` });
}
