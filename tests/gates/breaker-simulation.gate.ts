import { measureFuzzed } from "../simulation/breaker/fuzzed-runs.ts";
import { BREAKER_TABLE, measureBreaker } from "../simulation/breaker/table.ts";
import type { Proof } from "../support/proof.ts";

const RUNS = 1_000;
const SEEDS = [1, 2, 3, 4, 5];

/** The breaker that ships, on a virtual clock: probes under every fault, and a fleet of 500 isolates in an outage. */
export async function run(): Promise<Proof[]> {
  return [...measureFuzzed(RUNS), ...BREAKER_TABLE.map((row) => measureBreaker(row, SEEDS))];
}
