import type { CostRule, SettleRule } from "../../../schemas/index.ts";
import type { BucketLimit } from "./token-bucket.ts";

/** What a cost rule looks at. */
export interface CostedRequest {
  readonly path: string;
  header(name: string): string | null;
}

/** What a settle rule looks at. */
export interface CostedResponse {
  /** Of the body, as sent. */
  readonly bytes: number;
  header(name: string): string | null;
}

/** Digits that a cost in a field may have on each side of its point. */
const DECIMAL = /^(\d{1,9})(?:\.(\d{1,9}))?$/;

/** A limit counted in units. What it holds must still be exact: see `isExact`. */
export function scaleLimit(limit: BucketLimit, scale: number): BucketLimit {
  return { ...limit, tokensPerWindow: limit.tokensPerWindow * scale, burst: limit.burst * scale };
}

/** What to reserve for a request, in units. Always an integer >= 0; parts of a unit are rounded up. */
export function requestCost(rule: CostRule, request: CostedRequest, scale: number): number {
  switch (rule.kind) {
    case "static":
      return unitsOf(String(rule.cost), scale) ?? scale;
    case "header": {
      const said = unitsOf(request.header(rule.name), scale);
      if (said === undefined) return unitsOf(String(rule.otherwise), scale) ?? scale;
      return within(said, unitsOf(String(rule.min), scale), unitsOf(String(rule.max), scale));
    }
    case "paths":
      return unitsOf(String(pathCost(rule.costs, request.path) ?? rule.otherwise), scale) ?? scale;
  }
}

/** What a served request has cost, in units; undefined when the response does not say. Parts of a unit round up. */
export function settledCost(rule: SettleRule, response: CostedResponse, scale: number): number | undefined {
  switch (rule.kind) {
    case "bytes":
      return Math.ceil((response.bytes * scale) / rule.bytesPerToken);
    case "header": {
      const said = unitsOf(response.header(rule.name), scale);
      return said === undefined ? undefined : within(said, 0, unitsOf(String(rule.max), scale));
    }
  }
}

/** A cost on a route whose requests count more, or less, than others; parts of a unit round up. */
export function timesMultiplier(units: number, multiplier: number): number {
  if (multiplier === 1) return units;
  // A multiplier has at most three places: in thousandths it is whole, and no binary fraction comes in between.
  return Math.min(Number.MAX_SAFE_INTEGER, Math.ceil((units * Math.round(multiplier * 1000)) / 1000));
}

/** Decimal digits to units without a binary fraction in between: 1.1 times 10 is 11, and never 11.000000000000002. */
function unitsOf(text: string | null, scale: number): number | undefined {
  const digits = DECIMAL.exec(text ?? "");
  if (digits === null) return undefined;
  const [, whole = "0", fraction = ""] = digits;
  const places = String(scale).length - 1;
  const rest = Number(fraction.slice(places)) > 0 ? 1 : 0;
  return Number(whole) * scale + Number(fraction.slice(0, places).padEnd(places, "0")) + rest;
}

function within(units: number, min: number = 0, max: number = Infinity): number {
  return Math.min(max, Math.max(min, units));
}

function pathCost(costs: Extract<CostRule, { kind: "paths" }>["costs"], path: string): number | undefined {
  let best: { readonly prefix: string; readonly cost: number } | undefined;
  for (const entry of costs) {
    if (!isBelow(path, entry.prefix)) continue;
    if (best === undefined || entry.prefix.length > best.prefix.length) best = entry;
  }
  return best?.cost;
}

function isBelow(path: string, prefix: string): boolean {
  return (
    path.startsWith(prefix) && (prefix.endsWith("/") || path.length === prefix.length || path[prefix.length] === "/")
  );
}
