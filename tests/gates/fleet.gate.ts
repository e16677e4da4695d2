import { BROKEN_LIMITERS } from "../support/fleet/broken.ts";
import { hotClient } from "../support/fleet/hot-client.ts";
import { storm } from "../support/fleet/storm.ts";
import type { Fare } from "../support/fleet/traffic.ts";
import type { Proof } from "../support/proof.ts";

const ISOLATES = [4, 8] as const;
const STORM_REQUESTS = 110_000;
const CONNECTIONS = 48;
/** The runtime evicts an object after ten idle seconds. */
const IDLE_MS = 13_000;
/** Clients that come so much more often than they may ... */
const OVER = 1.5;
/** ... get at least this much of it, a restart included; else nothing would be shown. */
const LEAST_USE = 0.8;
const LONGEST_WINDOW_MS = 60_000;
const HOT = { perSecond: 200, demand: 0.7, durationMs: 30_000 };
const MOST_CALLS = 0.05;

/** Isolates that share owners admit what was promised and no more, on real sockets and through kill -9 and evictions. */
export async function run(): Promise<Proof[]> {
  const proofs: Proof[] = [];
  for (const isolates of ISOLATES) proofs.push(...(await stormProofs(isolates)));
  for (const isolates of ISOLATES) proofs.push(await hotProof(isolates));
  for (const { name, excess } of BROKEN_LIMITERS) {
    const seen = await excess();
    const promise = `the same check accuses ${name}`;
    proofs.push({ promise, bound: "> 0 tokens", figure: `${seen} tokens`, pass: seen > 0 });
  }
  return proofs;
}

async function stormProofs(isolates: number): Promise<Proof[]> {
  const report = await storm({ isolates, requests: STORM_REQUESTS, connections: CONNECTIONS, idleMs: IDLE_MS });
  const { fares, statuses, perSecond, calls, evicted } = report;
  const excess = Math.max(...fares.map((fare) => fare.excess));
  const answers = Object.entries(statuses).map(([status, many]) => `${many} x ${status === "0" ? "lost" : status}`);
  const requests = Object.values(statuses).reduce((sum, many) => sum + many, 0);
  const [least] = fares.filter(isOver).toSorted((a, b) => use(a) - use(b));
  return [
    {
      promise: `over-admission, ${isolates} isolates, ${fares.length} counters, kill -9 and ${evicted} evictions`,
      bound: "0 tokens in any interval",
      figure: `${excess} tokens; ${requests} requests: ${answers.join(", ")}`,
      pass: excess === 0 && report.repeated === 0,
    },
    {
      promise: `what clients above their limit get of it in that storm, ${isolates} isolates`,
      bound: `>= ${LEAST_USE}`,
      figure: least === undefined ? "nobody came so often" : `${use(least).toFixed(3)} (${least.customer})`,
      pass: least !== undefined && use(least) >= LEAST_USE,
    },
    {
      promise: `owner calls for a request of that storm, ${isolates} isolates`,
      bound: "< 1",
      figure: `${calls.toFixed(4)} at ${Math.round(perSecond)} requests/s`,
      pass: calls < 1,
    },
  ];
}

async function hotProof(isolates: number): Promise<Proof> {
  const { requests, admitted, calls, excess } = await hotClient({ ...HOT, isolates });
  return {
    promise: `owner calls for a request at ${HOT.perSecond}/s and ${HOT.demand} of the limit, ${isolates} isolates`,
    bound: `<= ${MOST_CALLS}`,
    figure: `${calls.toFixed(4)}; ${admitted} of ${requests} admitted`,
    pass: calls <= MOST_CALLS && excess === 0 && admitted === requests,
  };
}

/** A restart costs at most what was lent, which a limit that earns next to nothing does not earn back meanwhile. */
function isOver({ sent, ideal, limit }: Fare): boolean {
  return limit.windowMs <= LONGEST_WINDOW_MS && sent > OVER * ideal;
}

function use({ admitted, ideal }: Fare): number {
  return admitted / ideal;
}
