import { loweredLimit } from "../support/fleet/lowered-limit.ts";
import type { Proof } from "../support/proof.ts";

/** A limit that is lowered under way holds as soon as the longest lease under the old one has ended. */
export async function run(): Promise<Proof[]> {
  const { sent, admittedBefore, admittedAfter, excess, excessOfAll } = await loweredLimit();
  return [
    {
      promise: "a lowered limit holds 5.1 s after the first isolate works by it",
      bound: "0 tokens above the new limit",
      figure: `${excess} tokens; ${sent} requests, ${admittedBefore} admitted before and ${admittedAfter} after`,
      // Over the whole time the old limit shows: the new one was not in force all along.
      pass: excess === 0 && excessOfAll > 0 && admittedAfter > 0,
    },
  ];
}
