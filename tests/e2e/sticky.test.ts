import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { BackendFleet, eventually } from "../support/backend-fleet.ts";
import { bindClients, BoundClient, ISOLATES } from "../support/balanced-fleet.ts";
import type { TargetProcess } from "../support/origin/target-process.ts";

const WAYS = ["cookie", "header"] as const;
const CLIENTS = 12;
const NEW_CLIENTS = 60;

type Bound = readonly (readonly [BoundClient, number])[];

const state = mkdtempSync(join(tmpdir(), "sluice-state-"));
let fleet: BackendFleet;

beforeAll(async () => {
  const document = (urls: readonly string[]) => over(urls.map((url) => ({ url })));
  fleet = await BackendFleet.start({ isolates: ISOLATES, targets: 3, state, isReloadable: true, document });
});

afterAll(async () => {
  await fleet?.stop();
  rmSync(state, { recursive: true, force: true });
});

/** A backend of these targets for each way to bind a client, named after it. */
function over(targets: readonly Readonly<Record<string, unknown>>[]): Readonly<Record<string, unknown>> {
  return {
    routes: WAYS.map((by) => ({ id: by, prefix: `/${by}`, backend: by })),
    backends: Object.fromEntries(WAYS.map((by) => [by, { sticky: { by }, targets }])),
  };
}

function bind(): Promise<readonly Bound[]> {
  return Promise.all(WAYS.map((by) => bindClients(fleet, `/${by}/a`, CLIENTS)));
}

/** Which targets the clients meet that were bound to some; and that is what is wanted of them. */
async function metAgain(bound: readonly Bound[]): Promise<readonly (readonly number[])[]> {
  return Promise.all(
    bound.map((clients, way) => Promise.all(clients.map(([client]) => client.meet(`/${WAYS[way] ?? ""}/a`)))),
  );
}

function targetsOf(bound: readonly Bound[]): readonly (readonly number[])[] {
  return bound.map((clients) => clients.map(([, target]) => target));
}

/** Which targets new clients meet, in order. */
async function metByNew(): Promise<readonly number[]> {
  const meet = (_: unknown, index: number) => new BoundClient(fleet).meet(`/${WAYS[index % 2] ?? ""}/a`);
  const met = await Promise.all(Array.from({ length: NEW_CLIENTS }, meet));
  return [...new Set(met)].toSorted((a, b) => a - b);
}

function portsOf(targets: readonly TargetProcess[]): readonly number[] {
  return targets.map(({ port }) => port).toSorted((a, b) => a - b);
}

it("keeps clients with a target that an operator drains, and brings it no new ones until he ends that", async () => {
  const bound = await bind();
  const [draining, ...others] = fleet.targets;
  for (const by of WAYS) {
    expect((await fleet.admin("POST", `/backends/${by}/drain`, { target: draining?.url })).status).toBe(200);
  }
  await eventually("no new client to meet it", async () => !(await metByNew()).includes(draining?.port ?? 0), 100);
  expect(await metByNew()).toEqual(portsOf(others));
  expect(await metAgain(bound)).toEqual(targetsOf(bound));

  for (const by of WAYS) {
    expect((await fleet.admin("POST", `/backends/${by}/auto`, { target: draining?.url })).status).toBe(200);
  }
  await eventually("a new client to meet it", async () => (await metByNew()).includes(draining?.port ?? 0), 100);
});

it("keeps clients through a configuration that drains their target and weighs the others anew, and through restarts", async () => {
  const bound = await bind();
  for (let isolate = 0; isolate < ISOLATES; isolate += 1) expect(await metAgain(bound)).toEqual(targetsOf(bound));

  const [draining, ...others] = fleet.targets;
  const weighed = others.toReversed().map(({ url }, index) => ({ url, weight: 1 + index }));
  await fleet.reload(over([...weighed, { url: draining?.url, drain: true }]));
  expect(await metAgain(bound)).toEqual(targetsOf(bound));
  expect(await metByNew()).toEqual(portsOf(others));

  await fleet.stopGateway();
  await fleet.again();
  expect(await metAgain(bound)).toEqual(targetsOf(bound));

  await fleet.kill();
  await fleet.again();
  expect(await metAgain(bound)).toEqual(targetsOf(bound));
  expect(await metByNew()).toEqual(portsOf(others));
});
