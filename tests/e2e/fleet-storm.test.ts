import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { ArrivalsOrigin } from "../support/fleet/arrivals-origin.ts";
import { BROKEN_LIMITERS } from "../support/fleet/broken.ts";
import { startFleet } from "../support/fleet/fleet.ts";
import { overAdmission } from "../support/fleet/over-admission.ts";
import { storm } from "../support/fleet/storm.ts";
import { Traffic } from "../support/fleet/traffic.ts";

it("admits no token too many through evictions and a kill -9, whatever the limit", async () => {
  const { fares, statuses, repeated, evicted } = await storm({ isolates: 4, requests: 2_500, connections: 24 });
  expect(fares.filter(({ excess }) => excess > 0)).toEqual([]);
  // What the judgement rests on: requests passed and were refused, owners were evicted, and nothing was sent twice.
  expect(fares.filter(({ admitted }) => admitted === 0)).toEqual([]);
  expect([statuses[429], evicted, repeated].map((count) => (count ?? 0) > 0)).toEqual([true, true, false]);
  // A slow disk makes all of it slow, and two runtimes are started.
}, 120_000);

it.each(BROKEN_LIMITERS)("would notice $name", async ({ excess }) => {
  expect(await excess()).toBeGreaterThan(0);
});

it("holds a limit that was lowered before a restart, though tokens of the old one were lent", async () => {
  const lowered = { name: "hourly", tokensPerWindow: 50, windowMs: 3_600_000, burst: 50 };
  const traffic = new Traffic([{ name: "anyone", prefix: "/any", weight: 1, costs: [1], limits: [lowered] }]);
  const origin = await ArrivalsOrigin.start((request, at) => traffic.arrived(request, at));
  const state = mkdtempSync(join(tmpdir(), "sluice-lowered-"));
  onTestFinished(async () => {
    traffic.close();
    await origin.stop();
    rmSync(state, { recursive: true, force: true });
  });
  const start = async (requestsPerWindow: number) => {
    const rateLimit = { requestsPerWindow, windowSeconds: 3_600, by: "route", onError: "closed", deadline: "5s" };
    const routes = [{ id: "any", prefix: "/any", target: origin.url, rateLimit }];
    const fleet = await startFleet({ isolates: 4, state, config: { allowPrivateTargets: true, routes } });
    traffic.serve(fleet.urls);
    return fleet;
  };
  const first = await start(300);
  await traffic.storm(100, 8).finally(() => first.kill());
  const restartedAt = Date.now();
  const second = await start(lowered.tokensPerWindow);
  await traffic.storm(200, 8).finally(() => second.stop());

  const admissions = traffic.admissions(0, lowered);
  const after = admissions.filter(({ from }) => from >= restartedAt);
  // The old limit had more left than the new one ever has.
  expect(admissions.length - after.length).toBe(100);
  expect(overAdmission(after, lowered)).toBe(0);
});
