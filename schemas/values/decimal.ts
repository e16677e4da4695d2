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
