import { expect, it } from "vitest";
import { advance, newSteadyClock } from "../../../objects/dedup/steady-clock.ts";

it("goes on with the other clock, stands still when that steps back, and then goes on again", () => {
  const walls = [1_000, 1_500, 1_500, 400, 900, 5_000];
  let clock = newSteadyClock(1_000);
  const seen = walls.map((wall) => (clock = advance(clock, wall)).at);
  expect(seen).toEqual([0, 500, 500, 500, 1_000, 5_100]);
});
