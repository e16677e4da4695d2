import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  requestCost,
  scaleLimit,
  settledCost,
  timesMultiplier,
} from "../../../objects/rate-limiter/algorithms/cost.ts";
import type { CostRule, SettleRule } from "../../../schemas/index.ts";
import { RUNS } from "./arbitraries.ts";

function asked(path: string, fields: Record<string, string> = {}) {
  return { path, header: (name: string) => fields[name] ?? null };
}

function answered(bytes: number, fields: Record<string, string> = {}) {
  return { bytes, header: (name: string) => fields[name] ?? null };
}

it("counts a limit in the same units", () => {
  const limit = { tokensPerWindow: 10, windowMs: 1_000, burst: 20 };
  expect(scaleLimit(limit, 100)).toEqual({ tokensPerWindow: 1_000, windowMs: 1_000, burst: 2_000 });
});

it("turns decimals into units as on paper, parts of a unit rounded up", () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 999_999 }),
      fc.nat({ max: 9_999 }),
      fc.constantFrom(1, 10, 100, 1_000),
      (whole, part, scale) => {
        const text = `${whole}.${String(part).padStart(4, "0")}`;
        const tenThousandths = BigInt(whole) * 10_000n + BigInt(part);
        const units = (tenThousandths * BigInt(scale) + 9_999n) / 10_000n;
        const rule: SettleRule = { kind: "header", name: "cost", max: 999_999_999, strip: false };
        expect(settledCost(rule, answered(0, { cost: text }), scale)).toBe(Number(units));
      },
    ),
    RUNS,
  );
});

describe("before a request is served", () => {
  it.each([
    { cost: 1, scale: 1, units: 1 },
    { cost: 1.1, scale: 10, units: 11 },
    { cost: 0, scale: 1, units: 0 },
    { cost: 2.5, scale: 1, units: 3 },
    { cost: 2.5, scale: 100, units: 250 },
  ])("a static cost of $cost is $units units of 1/$scale", ({ cost, scale, units }) => {
    expect(requestCost({ kind: "static", cost }, asked("/"), scale)).toBe(units);
  });

  const byField: CostRule = { kind: "header", name: "x-cost", min: 1, max: 50, otherwise: 5 };
  it.each([
    { said: "7", units: 70 },
    { said: "7.25", units: 73 },
    { said: "0", units: 10 },
    { said: "51", units: 500 },
    { said: "999999999999999999", units: 50 },
    { said: "-3", units: 50 },
    { said: "1e3", units: 50 },
    { said: "NaN", units: 50 },
    { said: "", units: 50 },
    { said: " 7", units: 50 },
    { said: "7, 8", units: 50 },
    { said: undefined, units: 50 },
  ])("a field that says $said is $units units of 1/10", ({ said, units }) => {
    expect(requestCost(byField, asked("/", said === undefined ? {} : { "x-cost": said }), 10)).toBe(units);
  });

  const byPath: CostRule = {
    kind: "paths",
    costs: [
      { prefix: "/search", cost: 10 },
      { prefix: "/search/deep", cost: 40 },
      { prefix: "/files/", cost: 2 },
    ],
    otherwise: 1,
  };
  it.each([
    { path: "/search", units: 10 },
    { path: "/search/all", units: 10 },
    { path: "/searches", units: 1 },
    { path: "/search/deep/er", units: 40 },
    { path: "/files/a", units: 2 },
    { path: "/files", units: 1 },
    { path: "/", units: 1 },
  ])("$path costs $units", ({ path, units }) => {
    expect(requestCost(byPath, asked(path), 1)).toBe(units);
  });

  it("the longest prefix wins in any order", () => {
    const turned: CostRule = { ...byPath, costs: byPath.costs.toReversed() };
    expect(requestCost(turned, asked("/search/deep"), 1)).toBe(40);
  });
});

describe("once a request is served", () => {
  it.each([
    { bytes: 0, scale: 1, units: 0 },
    { bytes: 1, scale: 1, units: 1 },
    { bytes: 1_024, scale: 1, units: 1 },
    { bytes: 1_025, scale: 1, units: 2 },
    { bytes: 1_025, scale: 10, units: 11 },
  ])("$bytes bytes at 1,024 a token are $units units of 1/$scale", ({ bytes, scale, units }) => {
    expect(settledCost({ kind: "bytes", bytesPerToken: 1_024 }, answered(bytes), scale)).toBe(units);
  });

  it.each([
    { said: "12", units: 12 },
    { said: "0", units: 0 },
    { said: "200", units: 100 },
    { said: "many", units: undefined },
    { said: undefined, units: undefined },
  ])("a field that says $said makes it $units", ({ said, units }) => {
    const response = answered(0, said === undefined ? {} : { "x-used": said });
    const rule: SettleRule = { kind: "header", name: "x-used", max: 100, strip: false };
    expect(settledCost(rule, response, 1)).toBe(units);
  });
});

it.each([
  { units: 7, multiplier: 1, product: 7 },
  { units: 10, multiplier: 1.1, product: 11 },
  { units: 1, multiplier: 0.5, product: 1 },
  { units: 10, multiplier: 0.5, product: 5 },
  { units: 0, multiplier: 3, product: 0 },
  { units: 3, multiplier: 0.001, product: 1 },
  { units: Number.MAX_SAFE_INTEGER, multiplier: 2, product: Number.MAX_SAFE_INTEGER },
])("$units units times $multiplier are $product", ({ units, multiplier, product }) => {
  expect(timesMultiplier(units, multiplier)).toBe(product);
});
