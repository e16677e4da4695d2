import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { adversaryChart, adversaryCurves } from "./adversary-chart.ts";

const { allowed, shipped, withoutCeiling, burst } = adversaryCurves();

it("the chart of the design page is what the simulator draws", () => {
  const drawn = readFileSync(new URL("../../docs/design/leases.svg", import.meta.url), "utf8");
  expect(drawn).toBe(adversaryChart({ allowed, shipped, withoutCeiling, burst }));
});

it("an adversary gets nothing above what is allowed, and 90 % of the burst where tokens on lease don't count", () => {
  const above = (seen: readonly number[]) => Math.max(...seen.map((tokens, step) => tokens - (allowed[step] ?? 0)));
  expect(above(shipped)).toBeLessThanOrEqual(0);
  expect(Math.round((100 * above(withoutCeiling)) / burst)).toBe(90);
});
