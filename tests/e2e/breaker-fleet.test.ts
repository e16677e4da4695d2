import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { BackendFleet } from "../support/backend-fleet.ts";
import {
  comeHalfOpen,
  failuresUntilRefused,
  ISOLATES,
  openAt,
  openEverywhere,
  passedEverywhere,
  PROBES,
  startBreakerFleet,
  targetOf,
  THRESHOLD,
  toldOf,
} from "../support/breaker-fleet.ts";

const CLIENTS = 200;

const state = mkdtempSync(join(tmpdir(), "sluice-state-"));
let fleet: BackendFleet;

beforeAll(async () => {
  fleet = await startBreakerFleet(state);
});

afterAll(async () => {
  await fleet?.stop();
  rmSync(state, { recursive: true, force: true });
});

it("opens for every isolate when one has met the failures of a killed target", async () => {
  const target = targetOf(fleet, 1);
  expect(await fleet.everywhere("/long/a")).toEqual(Array(ISOLATES).fill("200"));
  await target.kill();
  await openAt(fleet, 0, "/long/a");
  for (let isolate = 1; isolate < ISOLATES; isolate += 1) {
    expect(await failuresUntilRefused(fleet, isolate, "/long/a")).toBeLessThan(THRESHOLD);
  }
  await openEverywhere(fleet, "long", target);
  const refused = await fleet.ask("/long/a");
  expect([refused.status, refused.what]).toEqual([503, "breaker-open"]);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(3_000);
  expect(refused.headers.get("proxy-status")).toContain("destination_unavailable");
});

it("keeps its state and its history through kill -9, though the target is well meanwhile", async () => {
  const target = targetOf(fleet, 1);
  const before = await toldOf(fleet, "long", target);
  expect(before).toMatchObject({
    state: "open",
    openings: 1,
    events: [{ kind: "circuit", from: "closed", to: "open" }],
  });
  await fleet.kill();
  await target.restart();
  await fleet.again();
  await openEverywhere(fleet, "long", target);
  expect(await toldOf(fleet, "long", target)).toEqual(before);
});

it("lets exactly as many probes reach the target as may be in flight, of 200 clients that come at once", async () => {
  const target = targetOf(fleet, 0);
  await fleet.everywhere("/short/a");
  await target.kill();
  await openEverywhere(fleet, "short", target);
  const { probes, answers } = await comeHalfOpen(fleet, target, "/short/a", CLIENTS);
  expect(probes).toBe(PROBES);
  expect(answers).toEqual(Array(CLIENTS).fill("200"));
  await passedEverywhere(fleet, "/short/a");
});
