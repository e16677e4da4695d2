import { measurePermits } from "../simulation/permits/measure-permits.ts";
import type { Proof } from "../support/proof.ts";

const RUNS = 1_000;

/** The permits that ship, on a virtual clock: never more requests in flight than the limit, under every fault. */
export async function run(): Promise<readonly Proof[]> {
  return measurePermits(RUNS);
}
