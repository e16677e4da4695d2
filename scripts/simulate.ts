import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { lineChart } from "../tests/simulation/chart.ts";
import { fuzzed } from "../tests/simulation/fuzz.ts";
import { LEASE_RULES } from "../objects/rate-limiter/lease-rules.ts";
import { limitOf, scenario } from "../tests/simulation/scenario.ts";
import { simulate } from "../tests/simulation/simulate.ts";
import { TABLE, measure } from "../tests/simulation/table.ts";
import { waitThenBurst } from "../tests/simulation/traffic.ts";

const FUZZED_RUNS = 200;
const SEEDS = [1, 2, 3];
const CHART = fileURLToPath(new URL("../docs/design/leases.svg", import.meta.url));

let requests = 0;
let worst = 0;
for (let seed = 1; seed <= FUZZED_RUNS; seed++) {
  const outcome = simulate(fuzzed(seed));
  requests += outcome.requests;
  worst = Math.max(worst, outcome.overAdmission);
}
const rows = [
  {
    promise: `over-admission in ${FUZZED_RUNS} runs with every fault, ${requests.toLocaleString("en")} requests`,
    bound: "0 tokens",
    figure: `${worst} tokens`,
    pass: worst === 0,
  },
  ...TABLE.map((row) => measure(row, SEEDS)),
];
const width = Math.max(...rows.map(({ promise }) => promise.length));
for (const { promise, bound, figure, pass } of rows) {
  console.log([pass ? "ok  " : "FAIL", promise.padEnd(width), bound.padStart(9), figure].join("  "));
}
writeFileSync(CHART, chart());
console.log("the chart of the adversary is in docs/design/leases.svg");
process.exitCode = rows.every(({ pass }) => pass) ? 0 : 1;

/** What a client gets that waits for the bucket to refill behind its leases: promised, with the ceiling, without. */
function chart(): string {
  const world = {
    limits: [limitOf(100, 1_000)],
    isolates: 10,
    traffic: waitThenBurst(70, 2_000, 900, 400),
    durationMs: 30_000,
  };
  const shipped = simulate(scenario(world));
  const naive = simulate(scenario({ ...world, rules: { ...LEASE_RULES, outstandingOf: () => 0, creditShiftMs: 0 } }));
  return lineChart("A client that waits for every isolate to hold tokens, then bursts", "tokens let through so far", [
    {
      name: "the most that is allowed",
      colour: "#808080",
      dashed: true,
      values: shipped.course.map(({ ideal }) => ideal),
    },
    { name: "leases that count", colour: "#1f9d6b", dashed: false, values: shipped.course.map(({ served }) => served) },
    { name: "leases that don't", colour: "#d9534f", dashed: false, values: naive.course.map(({ served }) => served) },
  ]);
}
