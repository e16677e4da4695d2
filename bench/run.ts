import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { type BenchOptions, runBench } from "./bench.ts";
import { renderResult } from "./report.ts";

const USAGE = `npm run bench -- [--only a,b] [--rounds N] [--seconds S] [--json]

  --only     subjects to measure, default all; a ratio needs both of its subjects
  --rounds   slices of each subject, default 60
  --seconds  length of a slice, default 0.25
  --json     print the result as JSON; it is written to bench/results/latest.json in any case`;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    rounds: { type: "string", default: "60" },
    seconds: { type: "string", default: "0.25" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

try {
  if (values.help) console.log(USAGE);
  else await main();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  if (process.platform !== "linux") throw new Error("the bench reads CPU time from /proc: run it on Linux");
  const rounds = positive("--rounds", values.rounds);
  const options: BenchOptions = {
    rounds,
    seconds: positive("--seconds", values.seconds),
    onRound: (done) => process.stderr.write(`\rround ${done} of ${rounds}${done === rounds ? "\n" : ""}`),
    ...(values.only === undefined ? {} : { only: values.only.split(",") }),
  };
  const result = await runBench(options);
  const results = fileURLToPath(new URL("results/", import.meta.url));
  mkdirSync(results, { recursive: true });
  const json = JSON.stringify(result, undefined, 2);
  writeFileSync(`${results}latest.json`, `${json}\n`);
  console.log(values.json ? json : renderResult(result));
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new Error(`${flag}: got ${text}, wanted a number above 0`);
}
