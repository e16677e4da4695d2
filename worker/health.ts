import { addresses } from "../objects/address.ts";
import { isAdmin } from "./admin/authenticate.ts";
import { askOwners } from "./admin/backends/target-owners.ts";
import { isAnyWatched } from "./admin/backends/watched-targets.ts";
import type { CanonicalRequest } from "./canonical.ts";
import type { ActiveConfig } from "./config/compile.ts";
import { GatewayError } from "./errors.ts";
import { namingSecret } from "./limits/client-address.ts";
import { callOwner, ownerOf } from "./limits/owner.ts";

/** An object that does not answer within this is not ready. */
const PING_MS = 1000;
/** The URL of no target: whoever owns it has nothing to do. */
const NO_TARGET = "";

/**
 * The gateway's own health endpoints; undefined when the path is none of them.
 *
 * Rejects with GatewayError `method-not-allowed`.
 */
export function health(
  request: Request,
  canonical: CanonicalRequest,
  env: Env,
  active: ActiveConfig,
): Promise<Response> | undefined {
  const { healthz, readyz, health: details } = active.config.endpoints;
  const { path } = canonical;
  if (path !== healthz && path !== readyz && path !== details) return undefined;
  return healthAnswer(request, canonical, env, active);
}

/**
 * Liveness of an isolate that has no configuration yet, so that it is not restarted for a fault of KV: its default path
 * answers, wherever the configuration would have put it. Undefined for any other path.
 */
export function liveness(request: Request): Response | undefined {
  return new URL(request.url).pathname === "/healthz" ? alive() : undefined;
}

function alive(): Response {
  return answer(200, "application/json", { status: "ok" });
}

async function healthAnswer(
  request: Request,
  { path, method }: CanonicalRequest,
  env: Env,
  active: ActiveConfig,
): Promise<Response> {
  const { healthz, readyz } = active.config.endpoints;
  if (method !== "GET" && method !== "HEAD") {
    throw new GatewayError("method-not-allowed", {
      detail: `${method} is not allowed here; allowed: GET, HEAD.`,
      headers: { allow: "GET, HEAD" },
    });
  }
  switch (path) {
    case healthz:
      return alive();
    case readyz: {
      // Not the owners of targets: without them everything is served, by what isolates know themselves.
      const object = await pingLimiter(env);
      return answer(object.ready ? 200 : 503, "application/json", {
        status: object.ready ? "ready" : "not ready",
        // Anyone may ask here; the reason is the operator's, at /health.
        checks: { rateLimiter: object.ready ? "ok" : "no answer" },
      });
    }
    default:
      return healthDocument(await isAdmin(request, env), env, active);
  }
}

/** draft-inadarei-api-health-check-06: everyone learns pass, warn or fail, an operator learns why. */
async function healthDocument(detailed: boolean, env: Env, active: ActiveConfig): Promise<Response> {
  const [limiter, breaker] = await Promise.all([
    pingLimiter(env),
    isAnyWatched(active.config) ? pingBreaker(env) : undefined,
  ]);
  const status = limiter.ready ? (breaker?.ready === false ? "warn" : "pass") : "fail";
  const body = detailed
    ? {
        status,
        version: String(active.version),
        notes: active.warnings.map((warning) => `${warning.path}: ${warning.message}`),
        checks: {
          "rate-limiter:responseTime": [measured(limiter, "fail")],
          ...(breaker && { "circuit-breaker:responseTime": [measured(breaker, "warn")] }),
          "configuration:version": [
            { componentType: "component", status: "pass", observedValue: active.version, source: active.source },
          ],
        },
      }
    : { status };
  return answer(limiter.ready ? 200 : 503, "application/health+json", body);
}

function measured({ ready, ms, status }: Ping, otherwise: "warn" | "fail") {
  return {
    componentType: "datastore",
    status: ready ? "pass" : otherwise,
    observedValue: ms,
    observedUnit: "ms",
    output: ready ? undefined : status,
    time: new Date().toISOString(),
  };
}

interface Ping {
  readonly ready: boolean;
  readonly status: string;
  readonly ms: number;
}

async function pingLimiter(env: Env): Promise<Ping> {
  const startedAt = Date.now();
  try {
    const address = { ...(await addresses(namingSecret(env)).probe()), client: "" };
    await callOwner(address, () => ownerOf(env, address).ping(), { deadlineMs: PING_MS });
    return { ready: true, status: "ok", ms: Date.now() - startedAt };
  } catch (error) {
    const status = error instanceof Error ? error.message : String(error);
    // Whoever watches /readyz sees only that it failed; the operator finds here why.
    console.error(JSON.stringify({ level: "error", message: "not ready", error: status }));
    return { ready: false, status, ms: Date.now() - startedAt };
  }
}

async function pingBreaker(env: Env): Promise<Ping> {
  const startedAt = Date.now();
  const [pinged] = await askOwners(env, [NO_TARGET], (owner) => owner.ping());
  const ms = Date.now() - startedAt;
  return pinged?.kind === "answered"
    ? { ready: true, status: "ok", ms }
    : { ready: false, status: pinged?.problem ?? "", ms };
}

function answer(status: number, type: string, body: unknown): Response {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": type, "cache-control": "no-store" } });
}
