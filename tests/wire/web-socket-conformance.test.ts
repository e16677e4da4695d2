import { afterAll, beforeAll, expect, it } from "vitest";
import { CASES } from "../support/web-socket/conformance.ts";
import { directly, relayedBy } from "../support/web-socket/conformance-verdicts.ts";
import { ANY_RATE } from "../support/web-socket/proofs.ts";
import { startRelayed, type Relayed } from "../support/web-socket/relayed.ts";

let relayed: Relayed;
let direct: ReadonlyMap<string, unknown>;

beforeAll(async () => {
  relayed = await startRelayed({ splice: true, bridge: ANY_RATE });
  direct = await directly(relayed);
});

afterAll(() => relayed?.stop());

it("a splice does in every case as if there were no relay", async () => {
  const verdicts = await relayedBy("splice", relayed, direct);
  expect(verdicts.filter(({ isRight }) => !isRight)).toEqual([]);
  expect(verdicts).toHaveLength(CASES.length);
});

it("a bridge does as if there were no relay, but for what its runtime reads otherwise", async () => {
  const verdicts = await relayedBy("bridge", relayed, direct);
  expect(verdicts.filter(({ isRight }) => !isRight)).toEqual([]);
  expect(verdicts).toHaveLength(CASES.length);
});
