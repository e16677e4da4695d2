import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Gateway } from "../support/gateway.ts";
import { directory, gatewayWith, helloOrigin, unlimited } from "./start-fixtures.ts";

it("makes its secrets once and keeps them where only its user can read them", async () => {
  const state = directory();
  const gateway = await gatewayWith({ state, config: unlimited(await helloOrigin()) });

  const secrets = ["admin-token", "naming-secret"].map((name) => readFileSync(join(state, name), "utf8").trim());
  const modes = ["admin-token", "naming-secret"].map((name) => statSync(join(state, name)).mode & 0o777);
  expect(secrets[0]).toBe(gateway.adminToken);
  expect(secrets).toEqual([expect.stringMatching(/^[\w-]{43}$/), expect.stringMatching(/^[\w-]{43}$/)]);
  expect(new Set(secrets).size).toBe(2);
  expect(modes).toEqual([0o600, 0o600]);
});

it("takes the admin token from the environment", async () => {
  const env = { SLUICE_ADMIN_TOKEN: "a-token-of-my-own" };
  const gateway = await gatewayWith({ env, config: unlimited(await helloOrigin()) });

  expect(gateway.adminToken).toBe("a-token-of-my-own");
  expect(await adminStatus(gateway, "a-token-of-my-own")).toBe(200);
  expect(await adminStatus(gateway, "a-token-of-another")).toBe(401);
});

async function adminStatus(gateway: Gateway, token: string): Promise<number> {
  const response = await fetch(`${gateway.url}/admin/clients?by=ip&value=127.0.0.1`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  await response.body?.cancel();
  return response.status;
}
