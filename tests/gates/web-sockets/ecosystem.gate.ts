import type { Proof } from "../../support/proof.ts";
import { startEcosystem, type Ecosystem } from "../../support/web-socket-peers/ecosystem.ts";
import { SCENARIOS } from "../../support/web-socket-peers/scenarios.ts";
import { each, RELAYS, within } from "../../support/web-socket/proofs.ts";

/** Libraries from their packages, with servers of their own: what works without a gateway works through it. */
export async function run(): Promise<readonly Proof[]> {
  const ecosystem = await startEcosystem();
  try {
    const proofs: Proof[] = [];
    for (const library of new Set(SCENARIOS.map((one) => one.library))) proofs.push(await row(ecosystem, library));
    return proofs;
  } finally {
    await ecosystem.stop();
  }
}

async function row(ecosystem: Ecosystem, library: string): Promise<Proof> {
  const failed: string[] = [];
  const scenarios = SCENARIOS.filter((one) => one.library === library);
  for (const way of RELAYS) {
    for (const { title, run: act } of scenarios) {
      try {
        await within(title, act(ecosystem.place(way)), 15_000);
      } catch (error) {
        console.error(error);
        failed.push(`${title} (${way})`);
      }
    }
  }
  return each(`${library}: scenarios through a splice and a bridge`, scenarios.length * RELAYS.length, failed);
}
