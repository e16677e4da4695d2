import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { startGateway, type Gateway, type GatewayOptions } from "../support/gateway.ts";
import { Origin } from "../support/origin/origin.ts";
import { problemOf } from "../support/problem.ts";
import { ask, RawClient } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";

/** A lease, an operation without a word of its own, and the guard: what is left of a dead isolate ends within this. */
const RECLAIM_MS = 20_100;
/** For a machine that has other things to do. */
const MARGIN_MS = 15_000;
const LIMIT = 3;

const cleanups: (() => unknown)[] = [];

afterAll(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean();
});

interface Stage {
  readonly origin: Origin;
  readonly gateway: Gateway;
}

async function stage(
  routes: (origin: Origin) => readonly unknown[],
  options: Partial<GatewayOptions>,
  origin?: Origin,
): Promise<Stage> {
  const target = origin ?? (await Origin.start());
  if (origin === undefined) cleanups.push(() => target.stop());
  const config = { allowPrivateTargets: true, routes: routes(target) };
  return { origin: target, gateway: await startGateway({ isolates: 4, ...options, config }) };
}

function route(id: string, { url }: Origin, limit: object = {}): unknown {
  // Only the owner may decide, however busy the machine is, unless a test says otherwise.
  const strict = { onError: "closed", deadline: "20s", by: "route", clients: "own" };
  const inFlight = { name: "in-flight", algorithm: "concurrency", maxConcurrent: LIMIT, ...strict, ...limit };
  return { id, prefix: `/${id}`, target: url, rateLimits: [inFlight], timeouts: { headers: "60s", total: "60s" } };
}

async function occupy({ origin }: Stage, url: string, target: string): Promise<RawClient> {
  const before = origin.busy;
  const client = await RawClient.open(url);
  cleanups.push(() => client.close());
  await client.send(request({ target }));
  await origin.until(`a request for ${target}`, ({ busy }) => busy > before);
  return client;
}

/** Asks each isolate in turn until one answers otherwise than 429, or the time is over; the statuses seen, without repetitions. */
async function refusedFor({ gateway }: Stage, target: string, ms: number): Promise<readonly number[]> {
  const until = Date.now() + ms;
  const seen = new Set<number>();
  for (let index = 0; Date.now() < until && [...seen].every((status) => status === 429); index += 1) {
    await pause(50);
    seen.add((await ask(gateway.urls[index % 4] ?? "", { target })).status);
  }
  return [...seen];
}

describe.concurrent("requests in flight", () => {
  test("count for as long as they last, with and without a streamed answer", { timeout: 90_000 }, async () => {
    const scene = await stage((origin) => [route("long", origin, { maxConcurrent: 2 })], {});
    cleanups.push(() => scene.gateway.stop());
    const [first = "", second = ""] = scene.gateway.urls;
    const waiting = await occupy(scene, first, "/long/held");
    const streaming = await occupy(scene, second, "/long/sse?events=1");
    expect(await refusedFor(scene, "/long/more", RECLAIM_MS + 2_000)).toEqual([429]);
    scene.origin.release();
    scene.origin.release();
    expect((await waiting.answer())?.status).toBe(200);
    expect((await streaming.answer())?.body.toString()).toBe("data: 1\n\n");
    expect(await refusedFor(scene, "/long/more", MARGIN_MS)).toContain(200);
  });

  test("of a gateway that was killed count until they must have ended", { timeout: 90_000 }, async () => {
    const state = mkdtempSync(join(tmpdir(), "sluice-state-"));
    cleanups.push(() => rmSync(state, { recursive: true, force: true }));
    const scene = await stage((origin) => [route("killed", origin)], { state });
    for (const url of scene.gateway.urls.slice(0, LIMIT)) await occupy(scene, url, "/killed/held");
    await scene.gateway.kill();
    const again = await stage((origin) => [route("killed", origin)], { state }, scene.origin);
    cleanups.push(() => again.gateway.stop());
    const statuses = await Promise.all(again.gateway.urls.map((url) => ask(url, { target: "/killed/more" })));
    expect(statuses.map(problemOf)).toEqual(again.gateway.urls.map(() => ({ status: 429, code: "quota-exceeded" })));
    expect(await refusedFor(again, "/killed/more", RECLAIM_MS + MARGIN_MS)).toEqual([429, 200]);
  });

  test("under an owner that falls silent follow the declared policy", { timeout: 90_000 }, async () => {
    const entry = fileURLToPath(new URL("../support/faulty-entry.ts", import.meta.url));
    const policies = ["closed", "local", "open"];
    const routes = (origin: Origin) =>
      policies.map((onError) => route(`hang-${onError}`, origin, { onError, deadline: "2s" }));
    const scene = await stage(routes, { isolates: 1, entry });
    cleanups.push(() => scene.gateway.stop());
    const { url } = scene.gateway;
    const arm = (armed: string) => ask(url, { target: "/", headers: [`X-Test-Arm: ${armed}`] });

    await arm("no");
    const clients = [];
    for (const policy of policies) clients.push(await occupy(scene, url, `/hang-${policy}/held`));
    await arm("yes");
    const more = [];
    for (const policy of policies) more.push(await ask(url, { target: `/hang-${policy}/more` }));
    expect(more.map(({ status }) => status)).toEqual([503, 200, 200]);
    // All three are the share of a lone isolate, and one is taken under the owner's permit.
    for (const _ of [1, 2]) await occupy(scene, url, "/hang-local/held");
    expect((await ask(url, { target: "/hang-local/more" })).status).toBe(429);

    // Their permits cannot be kept up: one is cut off, the others go on uncounted.
    const cut = await clients[0]?.answer();
    expect(cut === undefined ? undefined : problemOf(cut)).toEqual({ status: 503, code: "dependency-unavailable" });
    for (const _ of [1, 2, 3, 4]) scene.origin.release();
    expect([(await clients[1]?.answer())?.status, (await clients[2]?.answer())?.status]).toEqual([200, 200]);
  });
});
