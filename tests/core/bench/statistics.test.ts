import { describe, expect, test } from "vitest";
import { median, pairedRatio, percentile, spread } from "../../../bench/statistics.ts";

describe("median", () => {
  test.each([
    { values: [3, 1, 2], expected: 2 },
    { values: [4, 1, 3, 2], expected: 2.5 },
    { values: [7], expected: 7 },
    { values: [], expected: Number.NaN },
  ])("of $values is $expected", ({ values, expected }) => {
    expect(median(values)).toBe(expected);
  });
});

describe("percentile", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);

  test.each([
    { share: 0, expected: 1 },
    { share: 0.5, expected: 50 },
    { share: 0.99, expected: 99 },
    { share: 0.991, expected: 100 },
    { share: 1, expected: 100 },
  ])("$share of 1 to 100 is $expected", ({ share, expected }) => {
    expect(percentile(hundred, share)).toBe(expected);
  });

  test("of nothing is not a number", () => {
    expect(percentile([], 0.5)).toBeNaN();
  });
});

describe("spread", () => {
  test("trusts the median of 40 values as far as the sign test does", () => {
    const values = Array.from({ length: 40 }, (_, index) => index + 1);
    expect(spread(values)).toStrictEqual({ median: 20.5, low: 14, high: 27, min: 1, max: 40 });
  });

  test("claims no more than the whole range of a few values", () => {
    expect(spread([3, 1, 2])).toStrictEqual({ median: 2, low: 1, high: 3, min: 1, max: 3 });
  });
});

test("a paired ratio is not moved by a machine that slows down for some rounds", () => {
  expect(pairedRatio([80, 8, 80], [100, 10, 100])).toStrictEqual({
    median: 0.8,
    low: 0.8,
    high: 0.8,
    min: 0.8,
    max: 0.8,
  });
});
