import type { RowResult } from "../table.ts";
import { fuzzedPermits } from "./scenario.ts";
import { simulatePermits } from "./simulate.ts";

/** What so many fuzzed runs over requests in flight show: whether more than the limit ever were, and that the limit was met. */
export function measurePermits(runs: number): readonly RowResult[] {
  const seen = { requests: 0, served: 0, refused: 0, cut: 0 };
  let worst = 0;
  const broken: number[] = [];
  for (let seed = 1; seed <= runs; seed += 1) {
    const { requests, served, refused, cut, excess } = simulatePermits(fuzzedPermits(seed));
    seen.requests += requests;
    seen.served += served;
    seen.refused += refused;
    seen.cut += cut;
    worst = Math.max(worst, excess);
    if (excess > 0) broken.push(seed);
  }
  const figure = `${worst}; ${count(seen.served)} served, ${count(seen.refused)} refused, ${count(seen.cut)} cut off`;
  const seeds = broken.length === 0 ? "" : `; seeds ${broken.slice(0, 10).join(", ")}`;
  return [
    {
      promise: `requests in flight above the limit in ${runs} runs with every fault, ${count(seen.requests)} requests`,
      bound: "0",
      figure: figure + seeds,
      // Without refusals no run came to its limit, and the figure would say nothing.
      pass: broken.length === 0 && seen.served > 0 && seen.refused > 0,
    },
  ];
}

function count(value: number): string {
  return value.toLocaleString("en");
}
