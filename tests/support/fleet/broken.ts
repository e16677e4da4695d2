import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startGateway } from "../gateway.ts";
import { ArrivalsOrigin } from "./arrivals-origin.ts";
import { startFleet } from "./fleet.ts";
import { Traffic } from "./traffic.ts";

const LIMIT = { name: "hourly", tokensPerWindow: 100, windowMs: 3_600_000, burst: 100 };
const REQUESTS = 400;
const CONNECTIONS = 8;
const ISOLATES = 4;

/** A limiter that does not keep its promise, to show that whoever watches sees it. */
export interface BrokenLimiter {
  readonly name: string;
  /** Tokens above the promise that were seen. */
  readonly excess: () => Promise<number>;
}

/** Each breaks the promise in a way of its own. */
export const BROKEN_LIMITERS: readonly BrokenLimiter[] = [
  { name: "an owner that never refuses and lends twice what it takes", excess: () => excessOf("generous") },
  { name: "a dead owner on a route that stays open", excess: excessOfDeadOwner },
  { name: "state that is lost in a restart", excess: excessOfLostState },
];

async function excessOf(name: string): Promise<number> {
  return watch("/any", async (traffic, originUrl) => {
    const fleet = await startFleet({ isolates: ISOLATES, config: config("any", name, "closed", originUrl) });
    traffic.serve(fleet.urls);
    await traffic.storm(REQUESTS, CONNECTIONS).finally(() => fleet.stop());
  });
}

async function excessOfDeadOwner(): Promise<number> {
  return watch("/throw-any", async (traffic, originUrl) => {
    const entry = fileURLToPath(new URL("../faulty-entry.ts", import.meta.url));
    const document = config("throw-any", "open", "open", originUrl);
    const gateway = await startGateway({ isolates: ISOLATES, entry, config: document });
    traffic.serve(gateway.urls);
    await traffic.storm(REQUESTS, CONNECTIONS).finally(() => gateway.stop());
  });
}

async function excessOfLostState(): Promise<number> {
  return watch("/any", async (traffic, originUrl) => {
    for (let life = 0; life < 2; life += 1) {
      const state = mkdtempSync(join(tmpdir(), "sluice-lost-"));
      const fleet = await startFleet({
        isolates: ISOLATES,
        state,
        config: config("any", "sound", "closed", originUrl),
      });
      traffic.serve(fleet.urls);
      await traffic.storm(REQUESTS, CONNECTIONS).finally(() => fleet.kill());
      rmSync(state, { recursive: true, force: true });
    }
  });
}

function config(id: string, name: string, onError: string, target: string): unknown {
  const { tokensPerWindow, windowMs } = LIMIT;
  const limit = { name, requestsPerWindow: tokensPerWindow, window: `${windowMs}ms`, by: "route", clients: "own" };
  return {
    allowPrivateTargets: true,
    logging: { enabled: false },
    routes: [{ id, prefix: `/${id}`, target, rateLimits: [{ ...limit, onError, deadline: "5s" }] }],
  };
}

async function watch(prefix: string, run: (traffic: Traffic, originUrl: string) => Promise<void>): Promise<number> {
  const traffic = new Traffic([{ name: "anyone", prefix, weight: 1, costs: [1], limits: [LIMIT] }]);
  const origin = await ArrivalsOrigin.start((request, at) => traffic.arrived(request, at));
  try {
    await run(traffic, origin.url);
  } finally {
    traffic.close();
    await origin.stop();
  }
  return Math.max(...traffic.fares().map(({ excess }) => excess));
}
