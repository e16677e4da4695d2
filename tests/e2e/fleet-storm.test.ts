import { expect, it } from "vitest";
import { BROKEN_LIMITERS } from "../support/fleet/broken.ts";
import { storm } from "../support/fleet/storm.ts";

it("admits no token too many through evictions and a kill -9, whatever the limit", async () => {
  const { fares, statuses, repeated, evicted } = await storm({ isolates: 4, requests: 4_000, connections: 24 });
  expect(fares.filter(({ excess }) => excess > 0)).toEqual([]);
  // What the judgement rests on: requests passed and were refused, owners were evicted, and nothing was sent twice.
  expect(fares.filter(({ admitted }) => admitted === 0)).toEqual([]);
  expect([statuses[429], evicted, repeated].map((count) => (count ?? 0) > 0)).toEqual([true, true, false]);
});

it.each(BROKEN_LIMITERS)("would notice $name", async ({ excess }) => {
  expect(await excess()).toBeGreaterThan(0);
});
