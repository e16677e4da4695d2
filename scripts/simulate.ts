import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { adversaryChart, adversaryCurves } from "../tests/simulation/adversary-chart.ts";
import { measureBans } from "../tests/simulation/bans/measure-bans.ts";
import { measureFuzzed } from "../tests/simulation/breaker/fuzzed-runs.ts";
import { BREAKER_TABLE, measureBreaker } from "../tests/simulation/breaker/table.ts";
import { measureEgressCost } from "../tests/simulation/egress/cost.ts";
import { measureEgress } from "../tests/simulation/egress/fuzzed-runs.ts";
import { measureFuzz } from "../tests/simulation/fuzzed-runs.ts";
import { measurePermits } from "../tests/simulation/permits/measure-permits.ts";
import { TABLE, measure, type RowResult } from "../tests/simulation/table.ts";

const FUZZED_RUNS = 200;
const SEEDS = [1, 2, 3];
const CHART = fileURLToPath(new URL("../docs/design/leases.svg", import.meta.url));

const leases = [...measureFuzz(FUZZED_RUNS), ...TABLE.map((row) => measure(row, SEEDS))];
print("leases", leases);
writeFileSync(CHART, adversaryChart(adversaryCurves()));
console.log("the chart of the adversary is in docs/design/leases.svg");
const breaker = [...measureFuzzed(FUZZED_RUNS), ...BREAKER_TABLE.map((row) => measureBreaker(row, SEEDS))];
print("circuit breaker", breaker);
const permits = measurePermits(FUZZED_RUNS);
print("permits", permits);
const bans = measureBans(FUZZED_RUNS);
print("bans", bans);
const egress = [...measureEgress(FUZZED_RUNS), ...measureEgressCost()];
print("egress quotas", egress);
process.exitCode = [...leases, ...breaker, ...permits, ...bans, ...egress].every(({ pass }) => pass) ? 0 : 1;

function print(title: string, rows: readonly RowResult[]): void {
  const width = Math.max(...rows.map(({ promise }) => promise.length));
  console.log(title);
  for (const { promise, bound, figure, pass } of rows) {
    console.log([pass ? "ok  " : "FAIL", promise.padEnd(width), bound.padStart(10), figure].join("  "));
  }
}
