import * as v from "valibot";
import { closedObject, objectOf } from "../../document/closed-object.ts";
import type { CostRule, SettleRule } from "../../rate-limit-types.ts";
import { byteSize } from "../../values/byte-size.ts";
import { decimal } from "../../values/decimal.ts";
import { flag, headerName } from "../../values/primitives.ts";
import { normaliseEscapes, pathFault } from "../../values/url-path.ts";

/** What a field of a message may claim at most: nine digits are read. */
const MOST_CLAIMED = 999_999_999;

const COST = 'a number, or an object with "header" or "paths"';

const pathPrefix = v.pipe(
  v.string("a path"),
  v.rawCheck(({ dataset, addIssue }) => {
    const fault = dataset.typed ? pathFault(dataset.value) : undefined;
    if (fault !== undefined) addIssue({ message: fault });
  }),
);

/** What a request costs by its path, or by a field that someone in front writes. */
export const CostSchema = v.pipe(
  closedObject({
    header: v.optional(headerName),
    min: v.optional(decimal(0)),
    max: v.optional(decimal(0)),
    paths: v.optional(objectOf(pathPrefix, decimal(0), "an object from path prefixes to costs")),
    otherwise: v.optional(decimal(0)),
  }),
  v.check(
    ({ header, paths }) => (header === undefined) !== (paths === undefined),
    'an object with exactly one of "header" and "paths"',
  ),
  v.check(
    ({ paths, min, max }) => paths === undefined || (min === undefined && max === undefined),
    '"min" and "max" beside "header" alone: what a path costs is written here, and nobody else has a say',
  ),
  v.check(
    ({ min = 0, max = MOST_CLAIMED, otherwise = min }) => min <= max && min <= otherwise && otherwise <= max,
    '"min" at most "otherwise", and "otherwise" at most "max"',
  ),
);

/** `cost`: the same for every request, or a rule. */
export const costRule = v.union([decimal(0), CostSchema], COST);

/** What a request turns out to have cost. */
export const SettleSchema = v.pipe(
  closedObject({
    header: v.optional(headerName),
    max: v.optional(decimal(0)),
    strip: v.optional(flag),
    bytesPerToken: v.optional(byteSize(1)),
  }),
  v.check(
    ({ header, bytesPerToken }) => (header === undefined) !== (bytesPerToken === undefined),
    'an object with exactly one of "header" and "bytesPerToken"',
  ),
  v.check(
    ({ bytesPerToken, max, strip }) => bytesPerToken === undefined || (max === undefined && strip === undefined),
    '"max" and "strip" beside "header" alone',
  ),
);

/** The rule of a limit whose bucket holds `burst`. */
export function resolveCost(input: v.InferOutput<typeof costRule> | undefined, burst: number): CostRule {
  if (input === undefined || typeof input === "number") return { kind: "static", cost: input ?? 1 };
  const {
    header,
    paths = {},
    min = Math.min(1, input.max ?? 1),
    max = Math.max(min, Math.min(burst, MOST_CLAIMED)),
  } = input;
  if (header === undefined) {
    const costs = Object.entries(paths).map(([prefix, cost]) => ({ prefix: normaliseEscapes(prefix), cost }));
    return { kind: "paths", costs, otherwise: input.otherwise ?? 1 };
  }
  const otherwise = input.otherwise ?? Math.min(max, Math.max(min, 1));
  return { kind: "header", name: header.toLowerCase(), min, max, otherwise };
}

/** @param most what a claim may be when the rule does not say: beyond it, it would be forgiven anyway. */
export function resolveSettle(
  input: v.InferOutput<typeof SettleSchema> | undefined,
  most: number,
): SettleRule | undefined {
  if (input === undefined) return undefined;
  const { header, max = Math.min(most, MOST_CLAIMED), strip = false, bytesPerToken = 1 } = input;
  return header === undefined
    ? { kind: "bytes", bytesPerToken }
    : { kind: "header", name: header.toLowerCase(), max, strip };
}

/** Every cost that a rule names for sure; what a header claims lies between two of them. */
export function costsOf(rule: CostRule): readonly number[] {
  switch (rule.kind) {
    case "static":
      return [rule.cost];
    case "header":
      return [rule.min, rule.otherwise];
    case "paths":
      return [...rule.costs.map(({ cost }) => cost), rule.otherwise];
  }
}

/** Decimal places that a rule may meet: a header's claim has as many as its bounds. */
export function placesOf(rule: CostRule): readonly number[] {
  return rule.kind === "header" ? [rule.min, rule.max, rule.otherwise] : costsOf(rule);
}
