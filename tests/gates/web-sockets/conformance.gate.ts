import type { Proof } from "../../support/proof.ts";
import { CASES } from "../../support/web-socket/conformance.ts";
import { directly, relayedBy } from "../../support/web-socket/conformance-verdicts.ts";
import { ANY_RATE, each } from "../../support/web-socket/proofs.ts";
import { startRelayed } from "../../support/web-socket/relayed.ts";

/** Both ends on raw sockets: sizes, order, fragments, pings, closes, half-closes, losses and violations, from either side. */
export async function run(): Promise<readonly Proof[]> {
  const relayed = await startRelayed({ splice: true, bridge: ANY_RATE });
  try {
    const direct = await directly(relayed);
    const splice = await relayedBy("splice", relayed, direct);
    const bridge = await relayedBy("bridge", relayed, direct);
    const wrong = (verdicts: typeof bridge) => verdicts.filter(({ isRight }) => !isRight).map(({ name }) => name);
    const listed = bridge.filter(({ isListed }) => isListed).map(({ name }) => name.replace(/ from the \w+$| $/g, ""));
    const row = each("conformance: cases of a bridge, but for what its runtime does", CASES.length, wrong(bridge));
    const names = [...new Set(listed)].join("; ");
    return [
      each("conformance: cases that a splice ends as if there were no relay", CASES.length, wrong(splice)),
      { ...row, figure: `${row.figure}; ${listed.length} of them as the runtime does`, names },
    ];
  } finally {
    await relayed.stop();
  }
}
