import { expect, it } from "vitest";
import {
  addTally,
  CACHE_OUTCOMES,
  CACHE_TIERS,
  noTally,
  placeOfOutcome,
  placeOfTier,
  placeOfTimes,
  TIER_OUTCOMES,
  timeBucket,
} from "../../../objects/control-plane/cache-tally.ts";

it("has a place of its own for each thing that it counts", () => {
  const places = [
    ...CACHE_OUTCOMES.map(placeOfOutcome),
    ...CACHE_TIERS.flatMap((tier) => TIER_OUTCOMES.map((what) => placeOfTier(tier, what))),
    ...CACHE_TIERS.flatMap((tier) => [0, 1, 400, 501].map((ms) => placeOfTimes(tier) + timeBucket(ms))),
  ];
  expect(new Set(places).size).toBe(places.length - CACHE_TIERS.length);
  expect(Math.max(...places)).toBeLessThan(noTally().length);
  expect(Math.min(...places)).toBe(0);
});

it.each([
  [0, 0],
  [1, 0],
  [1.5, 1],
  [2, 1],
  [500, 8],
  [501, 9],
])("counts %d ms in bucket %d", (ms, bucket) => {
  expect(timeBucket(ms)).toBe(bucket);
});

it("is summed place by place", () => {
  const [one, other] = [noTally(), noTally()];
  one[0] = 2;
  other[0] = 3;
  other[7] = 1;
  expect(addTally(one, other).slice(0, 8)).toEqual([5, 0, 0, 0, 0, 0, 0, 1]);
});

it.each([
  ["nothing", undefined],
  ["a text", "44"],
  ["of another length", [1]],
  ["with what is no count", noTally().with(3, -1)],
  ["with what is no number", [...noTally().slice(1), "1"]],
])("that is %s changes no sum", (_what, more) => {
  const sum = noTally().with(2, 5);
  expect(addTally(sum, more)).toEqual(sum);
});
