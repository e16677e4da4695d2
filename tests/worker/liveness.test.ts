import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { handle } from "../../worker/gateway.ts";

it("says that it lives while there is no valid configuration, and that it cannot serve", async () => {
  const broken = { ...env, SLUICE_CONFIG: "{" };
  const statusOf = async (path: string): Promise<number> => {
    const ctx = createExecutionContext();
    const response = await handle(new Request(`http://gateway.test${path}`), broken, ctx);
    await response.body?.cancel();
    await waitOnExecutionContext(ctx);
    return response.status;
  };
  expect([await statusOf("/healthz"), await statusOf("/readyz"), await statusOf("/api")]).toEqual([200, 503, 503]);
});
