import { ArrivalsOrigin } from "./arrivals-origin.ts";
import { callsIn, startFleet } from "./fleet.ts";
import { Traffic } from "./traffic.ts";

/** One client that comes often, well below its limit. */
export interface HotClientOptions {
  readonly isolates: number;
  readonly perSecond: number;
  /** What it asks for as a share of what it may. */
  readonly demand: number;
  readonly durationMs: number;
}

/** What it cost to serve it. */
export interface HotClientReport {
  readonly requests: number;
  readonly admitted: number;
  /** Owner calls for each request. */
  readonly calls: number;
  readonly excess: number;
}

const WINDOW_S = 10;

/** Lets one client come at random instants to random isolates, and counts what its owner is asked meanwhile. */
export async function hotClient(options: HotClientOptions): Promise<HotClientReport> {
  const { isolates, perSecond, demand, durationMs } = options;
  const requestsPerWindow = Math.ceil((perSecond * WINDOW_S) / demand);
  const limit = {
    name: "hot",
    tokensPerWindow: requestsPerWindow,
    windowMs: 1_000 * WINDOW_S,
    burst: requestsPerWindow,
  };
  const traffic = new Traffic([{ name: "hot", prefix: "/hot", weight: 1, costs: [1], limits: [limit] }]);
  const origin = await ArrivalsOrigin.start((request, at) => traffic.arrived(request, at));
  const rateLimit = { requestsPerWindow, windowSeconds: WINDOW_S, by: "header:x-client", clients: "own" };
  const fleet = await startFleet({
    isolates,
    config: { allowPrivateTargets: true, routes: [{ id: "hot", prefix: "/hot", target: origin.url, rateLimit }] },
  });
  try {
    traffic.serve(fleet.urls);
    const before = callsIn(await fleet.counts());
    await traffic.stream(perSecond, durationMs);
    const calls = callsIn(await fleet.counts()) - before;
    const [fare] = traffic.fares();
    if (fare === undefined) throw new Error("nobody came");
    const { admitted, excess } = fare;
    return { requests: traffic.sent, admitted, calls: calls / traffic.sent, excess };
  } finally {
    traffic.close();
    await fleet.stop();
    await origin.stop();
  }
}
