import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BackendFleet } from "../support/backend-fleet.ts";
import { ISOLATES, metBy, sharesOf, startWeightedFleet, WEIGHTS } from "../support/balanced-fleet.ts";

describe("targets of unequal weight", () => {
  let fleet: BackendFleet;

  beforeAll(async () => {
    fleet = await startWeightedFleet();
  });

  afterAll(() => fleet?.stop());

  it("get exactly their shares by turns", async () => {
    // Ten requests are a whole turn of each isolate.
    const { shares, answered } = await sharesOf(fleet, "round-robin", 10 * 4 * 4 * ISOLATES);
    expect([shares, answered]).toEqual([WEIGHTS, 10 * 4 * 4 * ISOLATES]);
  });

  it("get about their shares by chance", async () => {
    const { shares, answered } = await sharesOf(fleet, "weighted-random", 4_000);
    expect(answered).toBe(4_000);
    // Six standard deviations of the largest.
    for (const [index, share] of shares.entries()) expect(Math.abs(share - (WEIGHTS[index] ?? 0))).toBeLessThan(4.4);
  });
});

describe("targets that clients are spread over by name", () => {
  const clients = Array.from({ length: 90 }, (_, index) => `client ${index}`);
  let fleet: BackendFleet;

  function over(urls: readonly string[]): Readonly<Record<string, unknown>> {
    return {
      routes: [{ id: "api", prefix: "/api", backend: "spread" }],
      backends: {
        spread: {
          balance: { algorithm: "rendezvous", by: "header:x-client" },
          targets: urls.map((url) => ({ url })),
        },
      },
    };
  }

  beforeAll(async () => {
    fleet = await BackendFleet.start({ isolates: ISOLATES, targets: 3, isReloadable: true, document: over });
  });

  afterAll(() => fleet?.stop());

  it("keep their clients when one of them is removed, whose clients alone move", async () => {
    const before = await metBy(fleet, "/api/a", clients);
    expect(await metBy(fleet, "/api/a", clients)).toEqual(before);
    const [first, second, third] = fleet.targets;
    expect(new Set(before.values())).toEqual(new Set([first?.port, second?.port, third?.port]));

    await fleet.reload(over([first?.url ?? "", third?.url ?? ""]));
    const after = await metBy(fleet, "/api/a", clients);
    const moved = clients.filter((client) => after.get(client) !== before.get(client));
    expect(moved).toEqual(clients.filter((client) => before.get(client) === second?.port));
    expect(new Set(moved.map((client) => after.get(client)))).toEqual(new Set([first?.port, third?.port]));
  });
});
