import { fuzzedAlgorithms, fuzzedShardedAlgorithms } from "./algorithms.ts";
import { fuzzed, fuzzedShards } from "./fuzz.ts";
import type { Scenario } from "./scenario.ts";
import { simulate } from "./simulate.ts";
import type { RowResult } from "./table.ts";

/** So many runs with every fault drawn at random: of buckets and of every algorithm, each where the owner is alone and where it has shards. */
export function measureFuzz(runs: number): readonly RowResult[] {
  return [
    measure("with every fault", runs, fuzzed),
    measure("with every fault and with shards", runs, fuzzedShards),
    measure("with every fault and algorithm", runs, fuzzedAlgorithms, false),
    measure("with every fault and algorithm and with shards", runs, fuzzedShardedAlgorithms, false),
  ];
}

/** @param counted whether all that may be spent is to be on the owner's leases. A window of another kind has it as used, and no lease. */
function measure(world: string, runs: number, draw: (seed: number) => Scenario, counted = true): RowResult {
  let requests = 0;
  let worst = 0;
  const broken: number[] = [];
  for (let seed = 1; seed <= runs; seed++) {
    const outcome = simulate(draw(seed));
    requests += outcome.requests;
    worst = Math.max(worst, outcome.overAdmission);
    if (outcome.overAdmission > 0 || (counted && outcome.uncounted > 0)) broken.push(seed);
  }
  const seeds = broken.length === 0 ? "" : `, seeds ${broken.slice(0, 10).join(", ")} could exceed it`;
  return {
    promise: `over-admission in ${runs} runs ${world}, ${requests.toLocaleString("en")} requests`,
    bound: "0 tokens",
    figure: `${worst} tokens${seeds}`,
    pass: broken.length === 0,
  };
}
