import { expect, it } from "vitest";
import { begin, countInFlight, finish, noneInFlight } from "../../../worker/balance/in-flight.ts";

it("remembers no call whose lease is over, though nobody looks and its end is never heard of", () => {
  const inFlight = noneInFlight();
  for (let second = 0; second < 10_000; second += 1) begin(inFlight, 30_000, second * 1_000);
  expect([inFlight.ends.size, inFlight.count]).toEqual([30, 30]);
});

it("counts a call no more that ends after its lease", () => {
  const inFlight = noneInFlight();
  const late = begin(inFlight, 1_000, 0);
  begin(inFlight, 5_000, 2_000);
  finish(inFlight, late);
  expect(countInFlight(inFlight, 2_000)).toBe(1);
});
