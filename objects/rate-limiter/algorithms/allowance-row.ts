import { isCount, isInteger } from "../../numbers.ts";
import type { Allowance } from "./allowance.ts";
import { packBuckets, unpackBuckets } from "./sub-buckets.ts";
import type { CalendarUnit, WindowRule } from "./time-window.ts";
import { isExact, largestDebt } from "./token-bucket.ts";

/** One letter an algorithm, so that a record of one is never read as another's. Buckets have none: they came first. */
const SLIDING = "s";
const APPROXIMATE = "a";
const FIXED = "q";

const CALENDAR_UNITS: readonly CalendarUnit[] = ["minute", "hour", "day", "week", "month"];

/** An allowance as a flat list, to be the end of a policy's entry in a row. */
export function packAllowance(allowance: Allowance): unknown[] {
  switch (allowance.algorithm) {
    case "token-bucket": {
      const { tokensPerWindow, windowMs, burst } = allowance.limit;
      const { tokens, rem, last, outstanding } = allowance.bucket;
      return [tokensPerWindow, windowMs, burst, tokens, rem, last, outstanding];
    }
    case "sliding-window": {
      const { limit, window } = allowance;
      const { tokensPerWindow, windowMs } = limit;
      return [SLIDING, tokensPerWindow, windowMs, window.last, window.spendableUntil, packBuckets(window.buckets)];
    }
    case "approximate-sliding-window": {
      const { limit, window } = allowance;
      return [APPROXIMATE, limit.tokensPerWindow, limit.windowMs, window.current, window.previous, window.last];
    }
    case "fixed-window": {
      const { limit, quota } = allowance;
      return [FIXED, limit.tokensPerWindow, packRule(limit.rule), quota.id, quota.used];
    }
  }
}

/** What `packAllowance` packed, or undefined when no allowance can be like that. Further entries are ignored. */
export function unpackAllowance(entry: readonly unknown[]): Allowance | undefined {
  const [tag, ...rest] = entry;
  switch (tag) {
    case SLIDING:
      return unpackSliding(rest);
    case APPROXIMATE:
      return unpackApproximate(rest);
    case FIXED:
      return unpackFixed(rest);
    default:
      return unpackBucket(entry);
  }
}

function unpackBucket(entry: readonly unknown[]): Allowance | undefined {
  const [tokensPerWindow, windowMs, burst, tokens, rem, last, outstanding] = entry;
  if (!isLimit(tokensPerWindow) || !isLimit(windowMs) || !isLimit(burst) || !isExact(burst, windowMs)) return undefined;
  if (!isInteger(tokens) || !isCount(rem) || !isInteger(last) || !isCount(outstanding)) return undefined;
  const limit = { tokensPerWindow, windowMs, burst };
  if (rem >= windowMs || tokens > Math.max(0, burst - outstanding) || tokens < -largestDebt(limit)) return undefined;
  return { algorithm: "token-bucket", limit, bucket: { tokens, rem, last, outstanding } };
}

function unpackSliding(entry: readonly unknown[]): Allowance | undefined {
  const [tokensPerWindow, windowMs, last, spendableUntil, packed] = entry;
  const buckets = unpackBuckets(packed);
  if (!isLimit(tokensPerWindow) || !isLimit(windowMs) || buckets === undefined) return undefined;
  if (!isInteger(last) || !isInteger(spendableUntil) || spendableUntil < last) return undefined;
  return {
    algorithm: "sliding-window",
    limit: { tokensPerWindow, windowMs },
    window: { buckets, last, spendableUntil },
  };
}

function unpackApproximate(entry: readonly unknown[]): Allowance | undefined {
  const [tokensPerWindow, windowMs, current, previous, last] = entry;
  if (!isLimit(tokensPerWindow) || !isLimit(windowMs) || !isExact(tokensPerWindow, windowMs)) return undefined;
  if (!isCount(current) || !isCount(previous) || !isInteger(last)) return undefined;
  const index = Math.floor(last / windowMs);
  return {
    algorithm: "approximate-sliding-window",
    limit: { tokensPerWindow, windowMs },
    window: { index, current, previous, last },
  };
}

function unpackFixed(entry: readonly unknown[]): Allowance | undefined {
  const [tokensPerWindow, packed, id, used] = entry;
  const rule = unpackRule(packed);
  if (!isLimit(tokensPerWindow) || rule === undefined || !isInteger(id) || !isCount(used)) return undefined;
  return { algorithm: "fixed-window", limit: { tokensPerWindow, rule }, quota: { id, used } };
}

function packRule(rule: WindowRule): unknown {
  return rule.kind === "fixed" ? rule.windowMs : [rule.unit, rule.timeZone];
}

function unpackRule(packed: unknown): WindowRule | undefined {
  if (isLimit(packed)) return { kind: "fixed", windowMs: packed };
  if (!Array.isArray(packed)) return undefined;
  const entries: readonly unknown[] = packed;
  const unit = CALENDAR_UNITS.find((one) => one === entries[0]);
  const timeZone = entries[1];
  if (unit === undefined || typeof timeZone !== "string" || timeZone === "") return undefined;
  return { kind: "calendar", unit, timeZone };
}

function isLimit(value: unknown): value is number {
  return isInteger(value) && value >= 1;
}
