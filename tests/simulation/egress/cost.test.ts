import { expect, it } from "vitest";
import { costOf, STEADY } from "./cost.ts";

it.each(STEADY)("a quota at %o costs a fraction of a call a request, and nobody waits or is refused", (load, most) => {
  const cost = costOf(load);
  expect(cost.callsPerRequest).toBeLessThan(most);
  expect(cost.waited).toBeLessThan(0.001);
  expect(cost.refused).toBe(0);
  expect(cost.most).toBeLessThanOrEqual(load.requests);
});
