import { Router, type IRequest } from "itty-router";
import type { CanonicalRequest } from "../canonical.ts";
import type { ActiveConfig } from "../config/compile.ts";
import { GatewayError } from "../errors.ts";
import { adminToken, isAdmin } from "./authenticate.ts";
import { orderBackend, resetBreakers } from "./backends/order-backends.ts";
import { listBackends, listBreakers, readBackend } from "./backends/read-backends.ts";
import { readCacheEntry } from "./cache/entry.ts";
import { invalidateCache } from "./cache/invalidate.ts";
import { listReleases, orderRelease, readRelease } from "./canary/releases.ts";
import { readCacheStats, readDedupStats } from "./cache/stats.ts";
import { warmCache } from "./cache/warm.ts";
import { listBans } from "./bans.ts";
import { banClient, grantTokens, resetClient, unbanClient } from "./client-orders.ts";
import { findClients, readClient } from "./clients.ts";
import { readConfig } from "./config.ts";
import { readEgress } from "./egress.ts";
import { json } from "./json.ts";
import { FILTERS, takes } from "./sockets/asked-sockets.ts";
import { broadcast, closeSocket, closeSockets, drainSockets, sendToSocket } from "./sockets/order-sockets.ts";
import { listSockets, readSocket } from "./sockets/read-sockets.ts";
import { tapSocket } from "./sockets/tap-socket.ts";

/** What a resource of the admin API works with. */
export interface AdminContext {
  readonly env: Env;
  /** For its body; path, method and query are those of the canonical request. */
  readonly request: Request;
  readonly ctx: ExecutionContext;
  readonly active: ActiveConfig;
  /** Query of the canonical request. */
  readonly query: URLSearchParams;
}

/**
 * Answers a request below the admin prefix. Without a configured token nothing is there (404), so that a deployment that
 * forgot it exposes nothing, not even that there would be something.
 *
 * @throws GatewayError `not-found`, `unauthorized`, `method-not-allowed`, and what the resource throws.
 */
export async function admin(
  request: Request,
  canonical: CanonicalRequest,
  env: Env,
  active: ActiveConfig,
  ctx: ExecutionContext,
): Promise<Response> {
  if (adminToken(env) === undefined) throw new GatewayError("not-found", { detail: "Nothing is here." });
  if (!(await isAdmin(request, env))) {
    throw new GatewayError("unauthorized", {
      detail: "The admin API wants its token as Authorization: Bearer TOKEN or X-Admin-Key: TOKEN.",
      headers: { "www-authenticate": 'Bearer realm="sluice admin"' },
    });
  }
  const context: AdminContext = { env, request, ctx, active, query: new URLSearchParams(canonical.query) };
  const path = canonical.path.slice(active.config.admin.prefix.length);
  const response: unknown = await resources.fetch(
    // RFC 9110 9.3.2: HEAD is GET without the body, which the runtime leaves out.
    { method: canonical.method === "HEAD" ? "GET" : canonical.method, url: `http://admin${path}`, params: {} },
    context,
  );
  if (response instanceof Response) return response;
  const allow = allowedMethods(path);
  if (allow.length === 0) {
    const detail = `Nothing is here; GET ${active.config.admin.prefix} lists what there is.`;
    throw new GatewayError("not-found", { detail });
  }
  throw new GatewayError("method-not-allowed", {
    detail: `${canonical.method} is not allowed here; allowed: ${allow.join(", ")}.`,
    headers: { allow: allow.join(", ") },
  });
}

/** What itty-router reads and fills in; a plain object, because it would write `params` onto the real request. */
export interface Routable {
  readonly method: string;
  readonly url: string;
  readonly params: Record<string, string>;
}

const RESOURCES = [
  "/backends",
  "/backends/{name}",
  "POST /backends/{name}/open?target=",
  "POST /backends/{name}/close?target=",
  "POST /backends/{name}/auto?target=",
  "POST /backends/{name}/drain?target=",
  "/bans?filter=&limit=&cursor=",
  "/canary",
  "/canary/{route}",
  "POST /canary/{route}/promote",
  "POST /canary/{route}/abort",
  "POST /canary/{route}/reset",
  "/cache/entry?url=",
  "POST /cache/warm",
  "POST /cache-invalidate?prefix=&tag=&key=&route=&all=&soft=",
  "/cache-stats",
  "/circuit-breaker-status",
  "POST /circuit-breaker-reset?backend=",
  "/clients?by=&value=",
  "/clients/{id}",
  "POST /clients/{id}/ban",
  "POST /clients/{id}/unban",
  "POST /clients/{id}/reset",
  "POST /clients/{id}/grant",
  "/config",
  "/dedup-stats",
  "/sockets?route=&principal=&address=&state=&mode=&limit=&cursor=",
  "/sockets?summary=true",
  "/sockets/{id}",
  "DELETE /sockets/{id}?code=&reason=",
  "POST /sockets/{id}/send",
  "/sockets/{id}/tap?direction=&sample=&bytes=&redact=",
  "POST /sockets/broadcast?route=&principal=&address=&state=&mode=&all=",
  "POST /sockets/close?route=&principal=&address=&state=&mode=&all=&code=&reason=&spread=",
  "POST /sockets/drain?route=&principal=&address=&state=&mode=&all=&spread=&refuseNew=&reason=",
  "/egress",
];

const TAP_OPTIONS = ["direction", "sample", "bytes", "redact"];
const ENDING = ["all", "reason", "spread"];
/** The name of an order is no session's: who has asked for it by GET has forgotten the method. */
const SESSION = "/sockets/(?!(broadcast|close|drain)$):id";

const resources = Router<Routable & IRequest, [AdminContext]>();
resources
  .get("/", () => json({ resources: RESOURCES }))
  .get("/backends", (_request, context) => listBackends(context))
  .get("/backends/:name", (request, context) => readBackend(nameOf(request), context))
  .post("/backends/:name/open", (request, context) => orderBackend(nameOf(request), "open", context))
  .post("/backends/:name/close", (request, context) => orderBackend(nameOf(request), "close", context))
  .post("/backends/:name/auto", (request, context) => orderBackend(nameOf(request), "auto", context))
  .post("/backends/:name/drain", (request, context) => orderBackend(nameOf(request), "drain", context))
  .get("/cache/entry", (_request, context) => readCacheEntry(context))
  .post("/cache/warm", (_request, context) => warmCache(context))
  .post("/cache-invalidate", (_request, context) => invalidateCache(context))
  .get("/canary", (_request, context) => listReleases(context))
  .get("/canary/:name", (request, context) => readRelease(nameOf(request), context))
  .post("/canary/:name/promote", (request, context) => orderRelease(nameOf(request), "promote", context))
  .post("/canary/:name/abort", (request, context) => orderRelease(nameOf(request), "abort", context))
  .post("/canary/:name/reset", (request, context) => orderRelease(nameOf(request), "reset", context))
  .get("/cache-stats", (_request, context) => readCacheStats(context))
  .get("/dedup-stats", (_request, context) => readDedupStats(context))
  .get("/circuit-breaker-status", (_request, context) => listBreakers(context))
  .post("/circuit-breaker-reset", (_request, context) => resetBreakers(context))
  .get("/bans", (_request, context) => listBans(context))
  .get("/clients", (_request, context) => findClients(context))
  .get("/clients/:id", (request, context) => readClient(idOf(request), context))
  .post("/clients/:id/ban", (request, context) => banClient(idOf(request), context))
  .post("/clients/:id/unban", (request, context) => unbanClient(idOf(request), context))
  .post("/clients/:id/reset", (request, context) => resetClient(idOf(request), context))
  .post("/clients/:id/grant", (request, context) => grantTokens(idOf(request), context))
  .get("/config", (_request, context) => readConfig(context))
  .get("/sockets", takes(...FILTERS, "limit", "cursor", "summary"), (_request, context) => listSockets(context))
  .get(SESSION, takes(), (request, context) => readSocket(idOf(request), context))
  .delete(SESSION, takes("code", "reason"), (request, context) => closeSocket(idOf(request), context))
  .post("/sockets/:id/send", takes(), (request, context) => sendToSocket(idOf(request), context))
  .get("/sockets/:id/tap", takes(...TAP_OPTIONS), (request, context) => tapSocket(idOf(request), context))
  .post("/sockets/broadcast", takes(...FILTERS, "all"), (_request, context) => broadcast(context))
  .post("/sockets/close", takes(...FILTERS, ...ENDING, "code"), (_request, context) => closeSockets(context))
  .post("/sockets/drain", takes(...FILTERS, ...ENDING, "refuseNew", "code"), (_request, context) =>
    drainSockets(context),
  )
  .get("/egress", (_request, context) => readEgress(context))
  .get("/status", (_request, context) => readEgress(context));

function idOf({ params }: Routable): string {
  return params["id"] ?? "";
}

/** A backend's name may be any text, so what is not plain in it arrives encoded. */
function nameOf({ params }: Routable): string {
  const name = params["name"] ?? "";
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** Methods that some resource has at this path. */
function allowedMethods(path: string): readonly string[] {
  const methods = resources.routes.filter(([, pattern]) => pattern.test(path)).map(([method]) => method);
  return methods.includes("GET") ? [...methods, "HEAD"] : methods;
}
