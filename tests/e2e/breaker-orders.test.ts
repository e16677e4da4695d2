import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { BackendFleet, eventually } from "../support/backend-fleet.ts";
import { targetOf, toldOf } from "../support/breaker-fleet.ts";

const ISOLATES = 4;
/** Several times as many failures as open a breaker that nobody holds. */
const FAILURES = 20;

const state = mkdtempSync(join(tmpdir(), "sluice-state-"));
let fleet: BackendFleet;

beforeAll(async () => {
  fleet = await BackendFleet.start({
    isolates: ISOLATES,
    targets: 1,
    state,
    document: ([url]) => ({
      routes: [{ id: "api", prefix: "/api", backend: "api" }],
      backends: { api: { targets: [{ url }], circuitBreaker: { timeout: "1h", maxTimeout: "1h" } } },
    }),
  });
});

afterAll(async () => {
  await fleet?.stop();
  rmSync(state, { recursive: true, force: true });
});

/** Gives an order and resolves when every isolate gives this answer. */
async function ordered(order: string, what: string): Promise<void> {
  expect((await fleet.admin("POST", order)).status).toBe(200);
  await everyIsolate(what);
}

async function everyIsolate(what: string): Promise<void> {
  await eventually(`every isolate to answer ${what}`, async () =>
    (await fleet.everywhere("/api/a")).every((answer) => answer === what),
  );
}

it("a breaker that an operator opens refuses at every isolate, though its target is well, and after kill -9", async () => {
  await everyIsolate("200");
  await ordered("/backends/api/open", "breaker-open");
  await fleet.kill();
  await fleet.again();
  await everyIsolate("breaker-open");
  expect(await toldOf(fleet, "api", targetOf(fleet, 0))).toMatchObject({
    state: "forced-open",
    events: [{ from: "closed", to: "forced-open", cause: "operator", by: "admin" }],
  });
});

it("one that he closes lets everything pass, though its target fails", async () => {
  await ordered("/backends/api/close", "200");
  await targetOf(fleet, 0).behave({ kind: "answer", status: 500 });
  for (let each = 0; each < FAILURES; each += 1) {
    expect(await fleet.everywhere("/api/a")).toEqual(Array(ISOLATES).fill("500"));
  }
});

it("one that he gives back judges by itself again, and one that he resets begins anew", async () => {
  await ordered("/backends/api/auto", "breaker-open");
  await eventually("its owner to have opened it", async () =>
    JSON.stringify(await toldOf(fleet, "api", targetOf(fleet, 0))).includes('"state":"open"'),
  );
  await targetOf(fleet, 0).behave({ kind: "answer", status: 200 });
  await everyIsolate("breaker-open");
  await ordered("/circuit-breaker-reset?backend=api", "200");
  expect(await toldOf(fleet, "api", targetOf(fleet, 0))).toMatchObject({ state: "closed", openings: 0 });
});
