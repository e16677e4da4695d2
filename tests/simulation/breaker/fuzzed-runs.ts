import type { RowResult } from "../table.ts";
import { fuzzed } from "./fuzz.ts";
import { simulate } from "./simulate.ts";

/** What so many fuzzed runs show: three rows, of which each must say none. */
export function measureFuzzed(runs: number): readonly RowResult[] {
  const seen = { requests: 0, transitions: 0, atLimit: 0 };
  const tooMany: number[] = [];
  const stuck: number[] = [];
  const unexplained: number[] = [];
  for (let seed = 1; seed <= runs; seed++) {
    const world = fuzzed(seed);
    const result = simulate(world);
    seen.requests += result.requests;
    seen.transitions += result.transitions.length;
    if (result.mostProbes === world.policy.halfOpenPermits) seen.atLimit += 1;
    if (result.mostProbes > world.policy.halfOpenPermits) tooMany.push(seed);
    if (result.refusedAtLast > 0) stuck.push(seed);
    if (result.unexplained.length > 0) unexplained.push(seed);
  }
  return [
    row(`more probes in flight than permits in ${runs} runs with every fault`, tooMany, `${seen.atLimit} used all`),
    row("breakers that stay open when the target is well again, the same runs", stuck),
    row(
      "transitions that nothing in their epoch explains, the same runs",
      unexplained,
      `${seen.transitions.toLocaleString("en")} transitions, ${seen.requests.toLocaleString("en")} requests`,
    ),
  ];
}

function row(promise: string, seeds: readonly number[], beside = ""): RowResult {
  const figure = seeds.length === 0 ? "none" : `seeds ${seeds.slice(0, 10).join(", ")}`;
  return { promise, bound: "none", figure: beside === "" ? figure : `${figure}; ${beside}`, pass: seeds.length === 0 };
}
