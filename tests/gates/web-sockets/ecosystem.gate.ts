import { isDeepStrictEqual } from "node:util";
import type { Proof } from "../../support/proof.ts";
import { startEcosystem, type Ecosystem } from "../../support/web-socket-peers/ecosystem.ts";
import { SCENARIOS } from "../../support/web-socket-peers/scenarios.ts";
import { GRAPHQL_CASES, startGraphqlTheatre, wanted, type GraphqlWay } from "../../support/web-socket/graphql-cases.ts";
import { each, RELAYS, within } from "../../support/web-socket/proofs.ts";

/** Libraries from their packages, with servers of their own: what works without a gateway works through it. */
export async function run(): Promise<readonly Proof[]> {
  const ecosystem = await startEcosystem();
  try {
    const proofs: Proof[] = [];
    for (const library of new Set(SCENARIOS.map((one) => one.library))) proofs.push(await row(ecosystem, library));
    return [...proofs, ...(await graphql())];
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

const GRAPHQL_ROWS: Readonly<Record<GraphqlWay, string>> = {
  direct: "cases that client and server end as they should, without a relay",
  splice: "cases that a splice ends as the server itself does",
  bridge: "cases that a bridge ends as the server itself does, with 1014 and 1001 for who is cut off",
};

async function graphql(): Promise<readonly Proof[]> {
  const theatre = await startGraphqlTheatre();
  try {
    const proofs: Proof[] = [];
    for (const way of ["direct", ...RELAYS] as const) {
      const failed: string[] = [];
      for (const one of GRAPHQL_CASES) {
        const verdict = await theatre.verdict(way, one).catch((error: unknown) => error);
        if (!isDeepStrictEqual(verdict, wanted(way, one))) failed.push(one.title);
      }
      proofs.push(each(`graphql-transport-ws: ${GRAPHQL_ROWS[way]}`, GRAPHQL_CASES.length, failed));
    }
    return proofs;
  } finally {
    await theatre.stop();
  }
}
