import { measureRoutes } from "../../bench/routes.ts";
import type { Spread } from "../../bench/statistics.ts";
import type { Proof } from "../support/proof.ts";

const MAX_RATIO = 1.1;
const MAX_NS = 5_000;

/** A lookup among 10,000 routes costs what one among 10 does. */
export async function run(): Promise<Proof[]> {
  const hot = measureRoutes(10);
  const cold = measureRoutes(1_000);
  return [
    {
      promise: "route lookup, 10,000 routes against 10, 10 paths in use",
      bound: `<= ${MAX_RATIO}`,
      figure: ratio(hot.ratio),
      pass: hot.ratio.median <= MAX_RATIO,
    },
    nanoseconds("route lookup among 10,000 routes, 10 paths in use", hot.many),
    nanoseconds("route lookup among 10,000 routes, 1,000 paths in use", cold.many),
    {
      promise: "route lookup, 10,000 routes against 10, 1,000 paths in use",
      bound: "informative: the CPU's cache",
      figure: ratio(cold.ratio),
      pass: true,
    },
  ];
}

function nanoseconds(promise: string, { median, min, max }: Spread): Proof {
  return {
    promise,
    bound: `< ${MAX_NS / 1_000} us`,
    figure: `${median.toFixed(0)} ns (${min.toFixed(0)} to ${max.toFixed(0)})`,
    pass: median < MAX_NS,
  };
}

function ratio({ median, low, high }: Spread): string {
  return `${median.toFixed(2)} (95 %: ${low.toFixed(2)} to ${high.toFixed(2)})`;
}
