import { runBench, type BenchResult, type Ratio } from "../../bench/bench.ts";
import type { Spread } from "../../bench/statistics.ts";
import type { Proof } from "../support/proof.ts";

/** Two subjects at a time: what is compared is measured half a second apart. */
const PAIR = { rounds: 60, seconds: 0.25 };
const ALL = { rounds: 20, seconds: 0.25 };

/** The gateway keeps up with the least that a Worker can do for the same result, and `npm start` with raw workerd. */
export async function run(): Promise<Proof[]> {
  const proofs = [
    ...(await compare({ throughput: 0.85 }, ["sluice", "bare"], "no limit, over a bare Worker")),
    ...(await compare({ throughput: 0.85, cpu: 1.3 }, ["sluice-leased", "bare"], "leased limit, over a bare Worker")),
    ...(await compare(
      { throughput: 0.85, cpu: 1.3 },
      ["sluice-protected", "bare"],
      "breaker, balancing and health, over a bare Worker",
    )),
    ...(await compare(
      { throughput: 2.5 },
      ["sluice-leased", "ask-durable"],
      "leased limit, over asking an object durably",
    )),
    ...(await compare(
      { throughput: 0.85 },
      ["sluice-strict", "ask-durable"],
      "strict limit, over asking an object durably",
    )),
    ...(await compare({ throughput: 0.8 }, ["sluice-cached", "colo-match"], "a hit in the colo, over a bare match")),
    ...(await compare({ throughput: 0.6 }, ["sluice-refusing", "empty"], "a refused request, over an empty Worker")),
    ...(await compare({ throughput: 0.8 }, ["local", "sluice"], "npm start, over raw workerd")),
  ];
  return [...proofs, ...informative(await runBench(ALL))];
}

/** At least so much throughput, at most so much CPU, as ratios. */
interface Bounds {
  readonly throughput: number;
  readonly cpu?: number;
}

async function compare(
  bounds: Bounds,
  [subject, reference]: readonly [string, string],
  promise: string,
): Promise<readonly Proof[]> {
  const { ratios } = await runBench({ ...PAIR, only: [subject, reference] });
  const { throughput, cpu } = find(ratios, subject, reference);
  const proof: Proof = {
    promise: `${promise}: throughput`,
    bound: `>= ${bounds.throughput}`,
    figure: `${told(throughput)}; CPU ${told(cpu)}`,
    pass: throughput.median >= bounds.throughput,
  };
  if (bounds.cpu === undefined) return [proof];
  const cost = {
    promise: `${promise}: CPU`,
    bound: `<= ${bounds.cpu}`,
    figure: told(cpu),
    pass: cpu.median <= bounds.cpu,
  };
  return [proof, cost];
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
