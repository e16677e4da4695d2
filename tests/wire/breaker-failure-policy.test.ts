import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MODES } from "../support/failing-owner.ts";
import {
  type FickleOrigin,
  openBreakers,
  startFailingTargetOwners,
  startFickleOrigin,
  targetRouteOf,
} from "../support/failing-target-owner.ts";
import { FAULTS } from "../support/faults.ts";
import type { FaultyGateway } from "../support/faulty-gateway.ts";

const FAILURES = MODES.flatMap((mode) => FAULTS.map((fault) => ({ mode, fault })));
const REQUESTS = 5;
const ALL_PASS = Array.from({ length: REQUESTS }, () => 200);
const PATIENCE_MS = 20_000;

let origin: FickleOrigin;
let owners: FaultyGateway;

beforeAll(async () => {
  origin = await startFickleOrigin();
  owners = await startFailingTargetOwners(origin.url, 1);
  await Promise.all(FAILURES.map((failure) => openBreakers(owners, { ...failure, scene: "half-open" })));
  await owners.arm(true);
});

afterAll(async () => {
  await owners?.stop();
  await origin?.stop();
});

describe.each(FAILURES)("an owner of a target that fails by $fault, under a $mode limit,", (failure) => {
  test("is in nobody's way while the breaker is closed", async () => {
    const route = targetRouteOf({ ...failure, scene: "closed" });
    const statuses: number[] = [];
    while (statuses.length < REQUESTS) statuses.push(await ask(`/${route}/a`));
    expect(statuses).toEqual(ALL_PASS);
  });

  test("keeps a breaker that was open from closing for a while, and not for good", async () => {
    const route = targetRouteOf({ ...failure, scene: "half-open" });
    const statuses = await untilFlowing(`/${route}/a`);
    expect(statuses.filter((status) => status !== 200 && status !== 503)).toEqual([]);
    expect(statuses.slice(-REQUESTS)).toEqual(ALL_PASS);
  });
});

/** Asks until some requests in a row pass; what each was answered. */
async function untilFlowing(path: string): Promise<readonly number[]> {
  const statuses: number[] = [];
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end;) {
    statuses.push(await ask(path));
    if (statuses.length >= REQUESTS && statuses.slice(-REQUESTS).every((status) => status === 200)) break;
  }
  return statuses;
}

async function ask(path: string): Promise<number> {
  const response = await fetch(owners.gateway.url + path);
  await response.text();
  return response.status;
}
