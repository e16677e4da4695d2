import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ArrivalsOrigin } from "./arrivals-origin.ts";
import { CUSTOMERS, customersConfig } from "./customers.ts";
import { callsIn, type Fleet, startFleet } from "./fleet.ts";
import { type Fare, Traffic } from "./traffic.ts";

/** How hard to try; `idleMs` long enough lets the runtime evict its idle objects by itself. */
export interface StormOptions {
  readonly isolates: number;
  readonly requests: number;
  readonly connections: number;
  readonly idleMs?: number;
}

/** What was seen. */
export interface StormReport {
  readonly fares: readonly Fare[];
  readonly statuses: Readonly<Record<number, number>>;
  readonly repeated: number;
  readonly perSecond: number;
  /** Owner calls for each request. */
  readonly calls: number;
  /** Instances of owners that ended before the runtime did. */
  readonly evicted: number;
}

/**
 * All customers at once from every isolate, while owners are evicted at a quarter and at three quarters of the way, and the
 * runtime is killed half way and started again over the same state.
 */
export async function storm(options: StormOptions): Promise<StormReport> {
  const { isolates, requests, connections, idleMs = 0 } = options;
  const state = mkdtempSync(join(tmpdir(), "sluice-fleet-"));
  const traffic = new Traffic(CUSTOMERS);
  const origin = await ArrivalsOrigin.start((request, at) => traffic.arrived(request, at));
  const start = () => startFleet({ isolates, state, config: customersConfig(origin.url) });
  const tally = new Tally();
  let fleet = await start();
  try {
    traffic.serve(fleet.urls);
    const began = performance.now();
    const trouble = async (): Promise<void> => {
      await traffic.reached(requests / 4);
      await fleet.evictOwners();
      await traffic.reached(requests / 2);
      await tally.read(fleet);
      const killed = fleet.kill();
      traffic.outage(
        killed.then(start).then((again) => {
          fleet = again;
          return again.urls;
        }),
      );
      await traffic.reached((3 * requests) / 4);
      await fleet.evictOwners();
    };
    await Promise.all([traffic.storm(requests, connections), trouble()]);
    const seconds = (performance.now() - began) / 1_000;
    await idle(idleMs);
    // Whoever comes after the pause meets owners that know only what they stored.
    if (idleMs > 0) await traffic.storm(connections * CUSTOMERS.length, connections);
    await tally.read(fleet);
    return {
      fares: traffic.fares(),
      statuses: traffic.statuses(),
      repeated: traffic.repeated,
      perSecond: requests / seconds,
      calls: tally.calls / traffic.sent,
      evicted: tally.evicted,
    };
  } finally {
    traffic.close();
    await fleet.stop();
    await origin.stop();
    rmSync(state, { recursive: true, force: true });
  }
}

/** Adds up over the lives of a runtime; what a killed one counted last is lost. */
class Tally {
  calls = 0;
  evicted = 0;

  async read(fleet: Fleet): Promise<void> {
    const counts = await fleet.counts();
    this.calls += callsIn(counts);
    this.evicted += counts.instances - counts.owners;
  }
}

function idle(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
