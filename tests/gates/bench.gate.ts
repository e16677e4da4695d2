import { runBench, type BenchResult, type Ratio } from "../../bench/bench.ts";
import type { Spread } from "../../bench/statistics.ts";
import type { Proof } from "../support/proof.ts";

/** Two subjects at a time: what is compared is measured half a second apart. */
const PAIR = { rounds: 60, seconds: 0.25 };
const ALL = { rounds: 20, seconds: 0.25 };

/** The gateway keeps up with the least that a Worker can do for the same result, and `npm start` with raw workerd. */
export async function run(): Promise<Proof[]> {
  const proofs = [
    await atLeast(0.85, ["sluice", "bare"], "no limit, throughput over a bare Worker"),
    await atLeast(0.85, ["sluice-strict", "ask-durable"], "strict limit, throughput over asking an object durably"),
    await atLeast(0.8, ["local", "sluice"], "npm start, throughput over raw workerd"),
  ];
  return [...proofs, ...informative(await runBench(ALL))];
}

async function atLeast(
  bound: number,
  [subject, reference]: readonly [string, string],
  promise: string,
): Promise<Proof> {
  const { ratios } = await runBench({ ...PAIR, only: [subject, reference] });
  const { throughput, cpu } = find(ratios, subject, reference);
  return {
    promise,
    bound: `>= ${bound}`,
    figure: `${told(throughput)}; CPU ${told(cpu)}`,
    pass: throughput.median >= bound,
  };
}

function informative({ ratios }: BenchResult): readonly Proof[] {
  return ratios.map(({ subject, reference, asks, throughput, cpu }) => ({
    promise: `${asks}: ${subject} / ${reference}`,
    bound: "informative",
    figure: `throughput ${told(throughput)}; CPU ${told(cpu)}`,
    pass: true,
  }));
}

function find(ratios: readonly Ratio[], subject: string, reference: string): Ratio {
  const ratio = ratios.find((one) => one.subject === subject && one.reference === reference);
  if (ratio === undefined) throw new Error(`the bench does not compare ${subject} with ${reference}`);
  return ratio;
}

function told({ median, low, high }: Spread): string {
  return `${median.toFixed(2)} (95 %: ${low.toFixed(2)} to ${high.toFixed(2)})`;
}
