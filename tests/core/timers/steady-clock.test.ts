import { expect, it } from "vitest";
import { advance, newSteadyClock, reach } from "../../../objects/steady-clock.ts";

it("goes on with the other clock, stands still when that steps back, and then goes on again", () => {
  const walls = [1_000, 1_500, 1_500, 400, 900, 5_000];
  let clock = newSteadyClock(1_000);
  const seen = walls.map((wall) => (clock = advance(clock, wall)).at);
  expect(seen).toEqual([0, 500, 500, 500, 1_000, 5_100]);
});

it("is where a timer says that it is, if the other clock says less", () => {
  const clock = advance(newSteadyClock(1_000), 1_500);
  expect([reach(clock, 400).at, reach(clock, 700).at]).toEqual([500, 700]);
});
