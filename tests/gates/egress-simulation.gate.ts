import { measureEgressCost } from "../simulation/egress/cost.ts";
import { measureEgress } from "../simulation/egress/fuzzed-runs.ts";
import type { Proof } from "../support/proof.ts";

const RUNS = 1_500;

/** The quota of an upstream that ships, on a virtual clock, under every fault; and what it costs. */
export async function run(): Promise<Proof[]> {
  return [...measureEgress(RUNS), ...measureEgressCost()];
}
