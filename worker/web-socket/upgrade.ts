import type { WebSocketSettings } from "../../schemas/index.ts";
import { GatewayError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";

/** RFC 6455 4.1: the only version there is. */
const VERSION = "13";
/** Path and query: a session keeps them for as long as it lives. A route's `sizeLimits` say otherwise. */
const MAX_URL = 8_192;

/** Whether a request asks for a WebSocket. */
export function isUpgrade({ request, fields }: Pick<Exchange, "request" | "fields">): boolean {
  return request.method === "GET" && fields.get("upgrade")?.toLowerCase() === "websocket";
}

/**
 * Lets a handshake pass that speaks this version and comes from where the route lets it come from.
 *
 * Browsers ask nobody before they open a WebSocket to another site, and send its cookies along: `Origin` is all that tells such a
 * handshake from the site's own (RFC 6455 10.2).
 *
 * @throws GatewayError `upgrade-required`, `invalid-request`, `uri-too-long`, `origin-not-allowed`.
 */
export function checkHandshake({ canonical, fields, route }: Exchange, settings: WebSocketSettings): void {
  const version = fields.get("sec-websocket-version");
  if (version !== VERSION)
    throw upgradeRequired(`The WebSocket version is ${version ?? "not said"}; 13 is spoken here.`);
  // What one proxy reads as the body another one reads as frames.
  if (fields.get("transfer-encoding") !== null || (fields.get("content-length") ?? "0") !== "0")
    throw new GatewayError("invalid-request", { detail: "A WebSocket handshake has no body." });
  const urlLength = canonical.path.length + canonical.query.length;
  if (urlLength > MAX_URL && route.route.sizeLimits === undefined)
    throw new GatewayError("uri-too-long", { detail: `The URL is ${urlLength} bytes; at most ${MAX_URL} are taken.` });
  const origin = fields.get("origin");
  if (origin === null) {
    if (settings.requireOrigin) throw notAllowed("The handshake has no Origin, which this route requires.");
    return;
  }
  if (!settings.origins.some((allowed) => allows(allowed, origin.toLowerCase(), canonical.host))) {
    throw notAllowed("No page of this origin may open a WebSocket here.");
  }
}

/** What a request gets that is no handshake, where only handshakes are served. */
export function upgradeRequired(detail: string): GatewayError {
  return new GatewayError("upgrade-required", {
    detail,
    headers: { upgrade: "websocket", "sec-websocket-version": VERSION },
  });
}

function allows(allowed: string, origin: string, host: string): boolean {
  if (allowed === "*" || allowed === origin) return true;
  if (allowed === "same-host") return URL.parse(origin)?.host === host;
  const [scheme, wildcard] = allowed.split("://*");
  return wildcard !== undefined && origin.startsWith(`${scheme}://`) && origin.endsWith(wildcard);
}

function notAllowed(detail: string): GatewayError {
  return new GatewayError("origin-not-allowed", { detail });
}
