import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
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

  async function ask(path: string, headers: Record<string, string> = {}): Promise<{ status?: number; body: unknown }> {
    const canonical = { method: "GET", scheme: "http", host: "gateway.test", path, query: "" } as const;
    const request = new Request(`http://gateway.test${path}`, { headers });
    const response = await health(request, canonical, { ...unready, SLUICE_ADMIN_TOKEN: "token" }, active());
    return { ...(response === undefined ? {} : { status: response.status }), body: await response?.json() };
  }
});

function active() {
  const result = parseConfig({ routes: [] });
  if (!result.ok) throw new Error("an empty document is valid");
  return compileConfig(result.config, { version: 1, source: "default", text: "{}", warnings: [], platform: "socket" });
}
