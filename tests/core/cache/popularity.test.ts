import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, it } from "vitest";
import { createPopularity } from "../../../worker/cache/tiers/popularity.ts";

const keyOf = (name: string | number) => createHash("sha256").update(String(name)).digest("hex");

it("never knows less of a key than how often it was asked for", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 300 }), (asked) => {
      const popularity = createPopularity();
      const counts = new Map<number, number>();
      for (const name of asked) {
        popularity.count(keyOf(name));
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
      for (const [name, count] of counts) expect(popularity.of(keyOf(name))).toBeGreaterThanOrEqual(count);
    }),
    { numRuns: 50 },
  );
});

it("tells the few that are popular from thousands that are not", () => {
  const popularity = createPopularity();
  for (let name = 0; name < 20_000; name += 1) popularity.count(keyOf(name));
  for (let time = 0; time < 5; time += 1) popularity.count(keyOf("popular"));
  const taken = Array.from({ length: 20_000 }, (_, name) => popularity.of(keyOf(name))).filter((count) => count > 1);
  expect(popularity.of(keyOf("popular"))).toBeGreaterThanOrEqual(5);
  // Those that share all four of their counters with others.
  expect(taken.length).toBeLessThan(200);
});

it("forgets by half what was popular long ago, and counts no further than to 255", () => {
  const popularity = createPopularity();
  for (let time = 0; time < 300; time += 1) popularity.count(keyOf("once"));
  expect(popularity.of(keyOf("once"))).toBe(255);
  for (let time = 300; time < 65_536; time += 1) popularity.count(keyOf("now"));
  expect(popularity.of(keyOf("once"))).toBe(127);
});

it("knows nothing of what it has not seen", () => {
  expect(createPopularity().of(keyOf("unknown"))).toBe(0);
});
