import { expect, it } from "vitest";
import { newPool } from "../../objects/connection-pool/pool.ts";
import { GatewayError } from "../../worker/errors.ts";
import { takeTurn } from "../../worker/upstream/turn.ts";

it("is no turn of a request that was stopped while it waited", async () => {
  const pool = newPool({ limit: 1, queueMs: 60_000 });
  const release = await pool.acquire("origin", Infinity);
  const stop = new AbortController();
  const left = new GatewayError("invalid-request", { detail: "left" });
  const turn = takeTurn({ pool, deadline: Date.now() + 60_000, stop }, "origin", true);
  stop.abort(left);
  if (typeof release === "function") release();
  await expect(turn).rejects.toBe(left);
  expect(pool.tallies().get("origin")).toMatchObject({ active: 0, queued: 0 });
});
