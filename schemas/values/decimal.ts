import * as v from "valibot";

const MOST = 999_999_999;
const PLACES = 3;

/** A number with at most three decimal places, both ends included: it can be counted exactly in thousandths. */
export function decimal(min: number, max: number = MOST) {
  const wanted = `a number from ${min} to ${max} with at most ${PLACES} decimal places`;
  return v.pipe(
    v.number(wanted),
    v.check((value) => /^\d{1,9}(?:\.\d{1,3})?$/.test(String(value)), wanted),
    v.minValue(min, wanted),
    v.maxValue(max, wanted),
  );
}

/** Decimal places of a number that `decimal` accepts. */
export function decimalPlaces(value: number): number {
  return String(value).split(".")[1]?.length ?? 0;
}

/** How many units make one, so that every product of a cost and a factor is whole: 1, 10, 100 or, at most, 1,000. */
export function unitsFor(costs: readonly number[], factors: readonly number[]): number {
  const places = Math.max(0, ...costs.map(decimalPlaces)) + Math.max(0, ...factors.map(decimalPlaces));
  return 10 ** Math.min(PLACES, places);
}
