import { expect, it } from "vitest";
import { targetState } from "../../worker/backends/target.ts";
import { allowance, type Allowance } from "../../worker/upstream/retry-allowance.ts";

const BUDGET = { ratio: 0.5, perSecond: 10 };

/** A target's state, and that many isolates use it by the word of its owner. */
function told(isolates: number): { readonly state: ReturnType<typeof targetState> } {
  const state = targetState(`http://origin.example/${isolates}`);
  state.isolates = isolates;
  return { state };
}

/** How many may be sent one after another. */
function takeAll(from: Allowance, now: number): number {
  let taken = 0;
  while (from.take(now)) taken += 1;
  return taken;
}

it("brings an isolate its part of the fleet's share, as a target's owner tells it", () => {
  const shared = allowance("retry:shared", BUDGET, [told(4)]);
  // Of the first ten seconds no more than one that isn't told, since those who start later are not counted yet.
  expect([takeAll(shared, 0), takeAll(shared, 5_000), takeAll(shared, 10_000)]).toEqual([1, 4, 12]);
  expect(takeAll(shared, 12_000)).toBe(5);
});

it("brings one a second where nobody tells how many isolates there are", () => {
  const alone = allowance("retry:alone", BUDGET, [told(0)]);
  expect([takeAll(alone, 0), takeAll(alone, 5_000)]).toEqual([1, 4]);
});

it("brings no more than is configured where nobody tells", () => {
  const poor = allowance("retry:poor", { ratio: 0, perSecond: 0.5 }, [told(0)]);
  expect([takeAll(poor, 0), takeAll(poor, 5_000)]).toEqual([1, 2]);
});

it("earns by requests", () => {
  const earning = allowance("retry:earning", { ratio: 0.5, perSecond: 0 }, [told(0)]);
  expect(takeAll(earning, 0)).toBe(1);
  for (let request = 0; request < 10; request += 1) earning.note(0);
  expect(takeAll(earning, 0)).toBe(5);
});

it("is the same one for every route and configuration that names the backend", () => {
  expect(takeAll(allowance("retry:reloaded", BUDGET, [told(0)]), 0)).toBe(1);
  expect(takeAll(allowance("retry:reloaded", BUDGET, [told(0)]), 0)).toBe(0);
});

it("is one for hedges and another for retries", () => {
  expect(takeAll(allowance("retry:both", BUDGET, [told(0)]), 0)).toBe(1);
  expect(takeAll(allowance("hedge:both", BUDGET, [told(0)]), 0)).toBe(1);
});

it("is spent however many other backends there are", () => {
  const first = allowance("retry:first-of-many", BUDGET, [told(0)]);
  expect(takeAll(first, 0)).toBe(1);
  for (let other = 0; other < 9_999; other += 1) allowance(`retry:other-${other}`, BUDGET, [told(0)]).note(0);
  expect(takeAll(first, 0)).toBe(0);
});
