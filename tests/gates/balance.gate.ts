import { sharesOf, startWeightedFleet, WEIGHTS } from "../support/balanced-fleet.ts";
import type { Proof } from "../support/proof.ts";

/** Turns come out even soon; chance needs many. */
const REQUESTS = { "weighted-random": 100_000, "round-robin": 20_000 } as const;
/** In percentage points; over three standard deviations of the largest share by chance. */
const TOLERANCE = 0.5;

/** Targets get their shares of the traffic, fleet-wide. */
export async function run(): Promise<Proof[]> {
  const fleet = await startWeightedFleet();
  try {
    const proofs: Proof[] = [];
    for (const balance of ["weighted-random", "round-robin"] as const) {
      const { shares, answered } = await sharesOf(fleet, balance, REQUESTS[balance]);
      const off = Math.max(...shares.map((share, index) => Math.abs(share - (WEIGHTS[index] ?? 0))));
      proofs.push({
        promise: `${balance} over ${WEIGHTS.join("/")}, ${answered} requests over ${fleet.isolates} isolates`,
        bound: `each within ${TOLERANCE} points`,
        figure: `${shares.map((share) => share.toFixed(2)).join("/")}, off by ${off.toFixed(2)}`,
        pass: off <= TOLERANCE && answered === REQUESTS[balance],
      });
    }
    return proofs;
  } finally {
    await fleet.stop();
  }
}
