import { describe, expect, it } from "vitest";
import { newBorrower, type Borrower } from "../../../objects/rate-limiter/leases/borrower.ts";
import { sizeLease } from "../../../objects/rate-limiter/leases/demand.ts";
import { arrive } from "../../../objects/rate-limiter/leases/lease.ts";
import { leaseProblem } from "../../../objects/rate-limiter/leases/lease-messages.ts";
import { START } from "./arbitraries.ts";
import { leaseMessage } from "./lease-arbitraries.ts";

const thousandths = { policy: "p", tokensPerWindow: 1_000_000, windowMs: 1_000, burst: 1_000_000, shadow: false };

function isolate(): Borrower {
  return newBorrower("client", 1, [thousandths], { isolate: "a", seq: 0 });
}

/** What an isolate says that a request usually costs, after requests of these costs 10 ms from each other. */
function told(costs: readonly number[]): number | undefined {
  const one = isolate();
  let said: number | undefined;
  for (const [index, cost] of costs.entries()) {
    // No call is waited for, so that each request makes one.
    one.awaited = 0;
    const arrival = arrive(one, [cost], START + 10 * index);
    if (arrival.kind === "ask") said = arrival.message.items[0]?.usualCost;
  }
  return said;
}

describe("the usual cost of a request", () => {
  it.each([
    ["of the first one", [2_500], 2_500],
    ["not said where it is a token", [1, 1], undefined],
    ["no less than a token", [1, 0, 0], undefined],
    ["the average of about eight", [800, 1_600], 900],
    ["as before after one that costs nothing", [800, 0], 800],
  ])("is %s", (_words, costs, usual) => {
    expect(told(costs)).toBe(usual);
  });

  it("begins anew when there was no request for a second", () => {
    const one = isolate();
    arrive(one, [800], START);
    one.awaited = 0;
    const arrival = arrive(one, [1_600], START + 5_000);
    expect(arrival).toMatchObject({ kind: "ask", message: { items: [{ usualCost: 1_600 }] } });
  });

  it.each([0, 0.5, Number.NaN, Number.POSITIVE_INFINITY])("of %f is refused by the owner", (usualCost) => {
    expect(leaseProblem(leaseMessage(thousandths, {}, { usualCost }))).toContain("a number >= 1 or nothing");
    expect(leaseProblem(leaseMessage(thousandths, {}, { usualCost: 1.5 }))).toBeUndefined();
  });
});

describe("the size of a lease", () => {
  const supplied = { limit: thousandths, demand: { rate: 500_000, isolates: 1 }, tokens: 1_000_000 };

  it.each([
    ["32 requests at first, however dear", { usualCost: 2_500, want: 32 }, 80_000],
    ["256 requests at most", { usualCost: 1_000, want: 4_096 }, 256_000],
    ["4,096 where the limit lets more than 10,000 a second through", { usualCost: 50, want: 4_096 }, 204_800],
    ["what will be asked for", { usualCost: 2_500, want: 4_096 }, 500_000 * 0.6],
    ["nothing when two requests are more than that", { usualCost: 150_001, want: 4_096 }, 0],
  ])("is %s", (_words, { usualCost, want }, ideal) => {
    const sizing = sizeLease(supplied, { rate: 500_000, cost: 0, usualCost, want }, 1_000);
    expect(sizing).toEqual({ ideal, supply: 500_000 });
  });
});
