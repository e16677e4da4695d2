import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { parseConfig } from "../../schemas/index.ts";
import { compileConfig } from "../../worker/config/compile.ts";
import { health } from "../../worker/health.ts";

describe("a deployment that is not ready", () => {
  // Without its secret no owner can be named.
  const { NAMING_SECRET: _secret, ...unready } = env;

  it("says so to everyone and why to nobody", async () => {
    expect(await ask("/readyz")).toEqual({
      status: 503,
      body: { status: "not ready", checks: { rateLimiter: "no answer" } },
    });
    expect(await ask("/health")).toEqual({ status: 503, body: { status: "fail" } });
  });

  it("tells its operator why", async () => {
    const { body } = await ask("/health", { "x-admin-key": "token" });
    expect(JSON.stringify(body)).toContain("NAMING_SECRET is not set");
  });

  function ask(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return answerOf(path, { headers, bindings: unready });
  }
});

describe("a deployment whose owners of targets do not answer", () => {
  // A fault that the real objects do not produce on demand; everything else is the real one.
  const fail = () => {
    throw new Error("no objects today");
  };
  const bindings = { ...env, CIRCUIT_BREAKER: new Proxy(env.CIRCUIT_BREAKER, { get: () => fail }) };
  const watching = {
    circuitBreaker: { failureThreshold: 5 },
    routes: [{ id: "all", prefix: "/", target: "https://origin.example" }],
  };

  // The first object of a test run takes longer to start than one may to be ready.
  beforeAll(async () => {
    await env.RATE_LIMITER.getByName("first").ping();
  });

  it("is ready, since everything is served without them", async () => {
    expect(await answerOf("/readyz", { bindings, document: watching })).toEqual({
      status: 200,
      body: { status: "ready", checks: { rateLimiter: "ok" } },
    });
  });

  it("warns, and tells its operator why", async () => {
    expect(await answerOf("/health", { bindings, document: watching })).toEqual({
      status: 200,
      body: { status: "warn" },
    });
    const headers = { "x-admin-key": "token" };
    expect((await answerOf("/health", { bindings, document: watching, headers })).body).toMatchObject({
      status: "warn",
      checks: {
        "rate-limiter:responseTime": [{ status: "pass" }],
        "circuit-breaker:responseTime": [{ status: "warn", output: "no objects today" }],
      },
    });
  });

  it("does not ask them where no target has one", async () => {
    expect(await answerOf("/health", { bindings })).toEqual({ status: 200, body: { status: "pass" } });
  });
});

interface Answer {
  readonly status?: number;
  readonly body: unknown;
}

interface Asking {
  readonly bindings: Env;
  readonly headers?: Record<string, string>;
  readonly document?: unknown;
}

async function answerOf(path: string, { bindings, headers = {}, document = { routes: [] } }: Asking): Promise<Answer> {
  const canonical = { method: "GET", scheme: "http", host: "gateway.test", path, query: "" } as const;
  const request = new Request(`http://gateway.test${path}`, { headers });
  const response = await health(request, canonical, { ...bindings, SLUICE_ADMIN_TOKEN: "token" }, active(document));
  return { ...(response === undefined ? {} : { status: response.status }), body: await response?.json() };
}

function active(document: unknown) {
  const result = parseConfig(document);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return compileConfig(result.config, { version: 1, source: "default", text: "{}", warnings: [], platform: "socket" });
}
