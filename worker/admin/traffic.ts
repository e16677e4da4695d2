import { gateReports } from "../backends/backend-gate.ts";
import { poolReports } from "../batch/pools.ts";
import { mirrorReports } from "../upstream/mirrored.ts";

/** What the isolate that is asked has seen itself, since it began: nobody gathers these from the others. */
export function isolateTraffic() {
  const now = Date.now();
  return { pools: poolReports(now), gates: gateReports(now), mirrors: mirrorReports(now) };
}
