import { QUOTA_PRESETS } from "../../../schemas/policies/backends/quota.ts";
import { createRandom } from "../random.ts";
import type { RowResult } from "../table.ts";
import { egress, type Arrival } from "./scenario.ts";
import { simulateEgress } from "./simulate.ts";

/** One client asks all the time, of a quota of so many requests a second, through four isolates. */
export interface SteadyLoad {
  readonly requests: number;
  /** Of what is allowed. */
  readonly share: number;
  readonly durationMs: number;
}

/** What a steady load costs. */
export interface SteadyCost {
  /** Of the owner. */
  readonly callsPerRequest: number;
  /** Share of requests that waited longer than two questions take. */
  readonly waited: number;
  readonly refused: number;
  /** The most that started within any second. */
  readonly most: number;
}

/** Loads, and the calls that a request may cost. */
export const STEADY: readonly (readonly [SteadyLoad, most: number])[] = [
  [{ requests: 500, share: 0.5, durationMs: 10_000 }, 0.12],
  [{ requests: 500, share: 0.8, durationMs: 10_000 }, 0.3],
  [{ requests: 5_000, share: 0.5, durationMs: 4_000 }, 0.02],
  [{ requests: 5_000, share: 0.8, durationMs: 4_000 }, 0.05],
];
const MILLION: typeof STEADY = [
  [{ requests: 1_000_000, share: 0.5, durationMs: 1_200 }, 0.001],
  [{ requests: 1_000_000, share: 0.8, durationMs: 1_200 }, 0.001],
];

/** Runs a load in which requests come as they like; questions take 20 ms or so. */
export function costOf({ requests, share, durationMs }: SteadyLoad): SteadyCost {
  const random = createRandom(1);
  const arrivals: Arrival[] = [];
  for (let at = 1_000; at < 1_000 + durationMs; at += random.exponential(1_000 / (requests * share))) {
    arrivals.push({ at, client: "client", priority: "normal", waitMs: 10_000 });
  }
  const fast = { requests, windowMs: 1_000, burst: requests, spacingMs: 0, maxQueue: 10_000 };
  const policy = { ...QUOTA_PRESETS["30-per-minute"], ...fast };
  const { calls, waits, ends, most } = simulateEgress(egress({ policy, arrivals, durationMs: durationMs + 12_000 }));
  return {
    callsPerRequest: calls / arrivals.length,
    waited: waits.filter((ms) => ms > 150).length / arrivals.length,
    refused: ends.refused,
    most,
  };
}

/** What quotas of three sizes cost at half and at four fifths of what they allow. */
export function measureEgressCost(): readonly RowResult[] {
  return [...STEADY, ...MILLION].map(([load, most]) => {
    const { callsPerRequest, waited, refused } = costOf(load);
    const rate = (load.requests * load.share).toLocaleString("en");
    return {
      promise: `owner calls a request at ${rate} of ${load.requests.toLocaleString("en")} a second, 4 isolates`,
      bound: `<= ${most}`,
      figure: `${callsPerRequest.toFixed(4)}; ${(waited * 100).toFixed(2)} % waited for more than 150 ms`,
      pass: callsPerRequest <= most && waited < 0.001 && refused === 0,
    };
  });
}
