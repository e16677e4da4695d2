import type { RowResult } from "../table.ts";
import { fuzzedEgress } from "./fuzz.ts";
import { simulateEgress } from "./simulate.ts";

/** What a wait may last longer: 0.1 % of a minute by the isolate's clock, and a timer that is late. */
export const TIMER_MS = 80;

/** What so many fuzzed runs of a quota show: four rows, of which each must say none. */
export function measureEgress(runs: number): readonly RowResult[] {
  const seen = { starts: 0, atLimit: 0 };
  const tooMany: number[] = [];
  const tooClose: number[] = [];
  const tooLate: number[] = [];
  const inPause: number[] = [];
  for (let seed = 1; seed <= runs; seed += 1) {
    const world = fuzzedEgress(seed);
    const result = simulateEgress(world);
    seen.starts += result.ends.started;
    if (result.most === world.policy.requests) seen.atLimit += 1;
    if (result.most > world.policy.requests) tooMany.push(seed);
    if (result.leastMs < world.policy.spacingMs) tooClose.push(seed);
    if (result.latestMs > TIMER_MS) tooLate.push(seed);
    if (result.inPause > 0) inPause.push(seed);
  }
  const starts = `${seen.starts.toLocaleString("en")} starts, ${seen.atLimit} runs at the limit`;
  return [
    row(`more starts in a window than an upstream allows in ${runs} runs with every fault`, tooMany, starts),
    row("starts closer than the spacing, the same runs", tooClose),
    row("requests that wait beyond their deadline, the same runs", tooLate),
    row("starts in a pause that the upstream has asked for, the same runs", inPause),
  ];
}

function row(promise: string, seeds: readonly number[], beside = ""): RowResult {
  const figure = seeds.length === 0 ? "none" : `seeds ${seeds.slice(0, 10).join(", ")}`;
  return { promise, bound: "none", figure: beside === "" ? figure : `${figure}; ${beside}`, pass: seeds.length === 0 };
}
