import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { activeConfig } from "../../worker/config/active.ts";
import { report, TARGET, watch } from "./target-messages.ts";

beforeEach(async () => {
  // A day ahead, so that the runtime's own clock, which alarms go by, reaches none of the times that objects set.
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
  vi.spyOn(globalThis, "fetch").mockImplementation(async () => new Response("broken", { status: 500 }));
  const backends = { api: { targets: [{ url: TARGET }], healthCheck: "/healthz" } };
  const config = { allowPrivateTargets: true, backends, routes: [{ prefix: "/", backend: "api" }] };
  await activeConfig({ ...env, SLUICE_CONFIG: JSON.stringify(config) }, { waitUntil: () => {} });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

it("a target's owner goes by a configuration that was written by hand, whatever version it has known", async () => {
  const owner = env.CIRCUIT_BREAKER.getByName("written by hand");
  await owner.watch(watch({ configVersion: 41 }));
  await owner.report(report({ configVersion: 0, policy: { ...report().policy, openMs: 5_000 } }));
  vi.setSystemTime((await runInDurableObject(owner, (_object, { storage }) => storage.getAlarm())) ?? Number.NaN);
  await runDurableObjectAlarm(owner);
  expect(await owner.status()).toMatchObject({
    policy: { openMs: 5_000 },
    health: { checks: 1, lastCheck: { ok: false, status: 500 } },
  });
});
