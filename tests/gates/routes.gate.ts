import { measureRoutes } from "../../bench/routes.ts";
import type { Proof } from "../support/proof.ts";

const MAX_RATIO = 1.1;
const MAX_NS = 5_000;

/** A lookup among 10,000 routes costs what one among 10 does. */
export async function run(): Promise<Proof[]> {
  const { few, many, ratio } = measureRoutes();
  const ns = (value: number) => value.toFixed(0);
  return [
    {
      promise: "route lookup, 10,000 routes against 10",
      bound: `<= ${MAX_RATIO}`,
      figure: `${ratio.median.toFixed(3)} (95 %: ${ratio.low.toFixed(3)} to ${ratio.high.toFixed(3)})`,
      pass: ratio.median <= MAX_RATIO,
    },
    {
      promise: "route lookup among 10,000 routes",
      bound: `< ${MAX_NS / 1000} us`,
      figure: `${ns(many.median)} ns (${ns(many.min)} to ${ns(many.max)}); among 10: ${ns(few.median)} ns`,
      pass: many.median < MAX_NS,
    },
  ];
}
