import { addresses } from "../objects/address.ts";
import { isAdmin } from "./admin/authenticate.ts";
import type { CanonicalRequest } from "./canonical.ts";
import type { ActiveConfig } from "./config/compile.ts";
import { GatewayError } from "./errors.ts";
import { namingSecret } from "./limits/client-address.ts";
import { within } from "./within.ts";

/** An object that does not answer within this is not ready. */
const PING_MS = 1000;

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
      const object = await pingObject(env);
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

/** draft-inadarei-api-health-check-06: everyone learns pass or fail, an operator learns why. */
async function healthDocument(detailed: boolean, env: Env, active: ActiveConfig): Promise<Response> {
  const object = await pingObject(env);
  const status = object.ready ? "pass" : "fail";
  const body = detailed
    ? {
        status,
        version: String(active.version),
        notes: active.warnings.map((warning) => `${warning.path}: ${warning.message}`),
        checks: {
          "rate-limiter:responseTime": [
            {
              componentType: "datastore",
              status,
              observedValue: object.ms,
              observedUnit: "ms",
              output: object.ready ? undefined : object.status,
              time: new Date().toISOString(),
            },
          ],
          "configuration:version": [
            { componentType: "component", status: "pass", observedValue: active.version, source: active.source },
          ],
        },
      }
    : { status };
  return answer(object.ready ? 200 : 503, "application/health+json", body);
}

interface Ping {
  readonly ready: boolean;
  readonly status: string;
  readonly ms: number;
}

async function pingObject(env: Env): Promise<Ping> {
  const startedAt = Date.now();
  try {
    const { name } = await addresses(namingSecret(env)).probe();
    const stub = env.RATE_LIMITER.get(env.RATE_LIMITER.idFromName(name), { retry: { maxRetries: 0 } });
    await within(stub.ping(), PING_MS, () => new Error(`no answer within ${PING_MS} ms`));
    return { ready: true, status: "ok", ms: Date.now() - startedAt };
  } catch (error) {
    const status = error instanceof Error ? error.message : String(error);
    // Whoever watches /readyz sees only that it failed; the operator finds here why.
    console.error(JSON.stringify({ level: "error", message: "not ready", error: status }));
    return { ready: false, status, ms: Date.now() - startedAt };
  }
}

function answer(status: number, type: string, body: unknown): Response {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": type, "cache-control": "no-store" } });
}
