import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { measureFuzzed } from "../tests/simulation/breaker/fuzzed-runs.ts";
import { BREAKER_TABLE, measureBreaker } from "../tests/simulation/breaker/table.ts";
import { lineChart, mostWithin } from "../tests/simulation/chart.ts";
import { measureFuzz } from "../tests/simulation/fuzzed-runs.ts";
import { LEASE_RULES } from "../objects/rate-limiter/lease-rules.ts";
import { limitOf, scenario } from "../tests/simulation/scenario.ts";
import { simulate, type Outcome } from "../tests/simulation/simulate.ts";
import { TABLE, measure, type RowResult } from "../tests/simulation/table.ts";
import { waitThenBurst } from "../tests/simulation/traffic.ts";

const FUZZED_RUNS = 200;
const SEEDS = [1, 2, 3];
const CHART_MS = 2_000;
const CHART_STEP_MS = 20;
const CHART = fileURLToPath(new URL("../docs/design/leases.svg", import.meta.url));

const leases = [...measureFuzz(FUZZED_RUNS), ...TABLE.map((row) => measure(row, SEEDS))];
print("leases", leases);
writeFileSync(CHART, chart());
console.log("the chart of the adversary is in docs/design/leases.svg");
const breaker = [...measureFuzzed(FUZZED_RUNS), ...BREAKER_TABLE.map((row) => measureBreaker(row, SEEDS))];
print("circuit breaker", breaker);
process.exitCode = [...leases, ...breaker].every(({ pass }) => pass) ? 0 : 1;

function print(title: string, rows: readonly RowResult[]): void {
  const width = Math.max(...rows.map(({ promise }) => promise.length));
  console.log(title);
  for (const { promise, bound, figure, pass } of rows) {
    console.log([pass ? "ok  " : "FAIL", promise.padEnd(width), bound.padStart(10), figure].join("  "));
  }
}

/** The most that passes within any interval, by its length, when a client waits until the bucket refilled behind leases. */
function chart(): string {
  const limit = limitOf(100, 1_000);
  const world = { limits: [limit], isolates: 10, traffic: waitThenBurst(70, 2_000, 900, 400), durationMs: 60_000 };
  const shipped = simulate(scenario(world));
  const naive = simulate(scenario({ ...world, rules: { ...LEASE_RULES, outstandingOf: () => 0 } }));
  const lengths = Array.from({ length: CHART_MS / CHART_STEP_MS + 1 }, (_, step) => step * CHART_STEP_MS);
  const allowed = lengths.map((lengthMs) => limit.burst + (limit.tokensPerWindow * lengthMs) / limit.windowMs);
  const seen = (run: Outcome) => mostWithin(run.admissions, CHART_STEP_MS, CHART_MS);
  return lineChart("Most tokens within any interval, by its length, against an adversary", "tokens", CHART_STEP_MS, [
    { name: "allowed: burst + rate * t", colour: "#808080", dashed: true, values: allowed },
    { name: "leases under the ceiling", colour: "#1f9d6b", dashed: false, values: seen(shipped) },
    { name: "without the ceiling", colour: "#d9534f", dashed: false, values: seen(naive) },
  ]);
}
