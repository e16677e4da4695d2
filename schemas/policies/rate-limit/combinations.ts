import type { LimitKey } from "../../rate-limit-types.ts";
import { isForEverybody } from "./limit-key.ts";

/** A limit as far as it could be read: what is wrong by itself is reported elsewhere. */
export type Written = Readonly<Record<string, unknown>>;

/** Below it nobody is ever banned: one reload of a page would do it. As in `objects/rate-limiter/bans/attempts.ts`. */
const LEAST_BANNABLE = 10;

/** A combination, and what to write instead. */
export interface Rule {
  readonly field: string;
  readonly broken: (limit: Written, algorithm: string) => boolean;
  readonly wanted: string;
}

const ALL_AT_ONCE = 'a window lets all of "requestsPerWindow" through at once; for a smaller burst take "token-bucket"';
const NEEDS_CONCURRENCY = '"maxConcurrent" needs "algorithm": "concurrency"';
const NEEDS_FIXED = 'a calendar needs "algorithm": "fixed-window"';
const IN_FLIGHT = '"concurrency" counts requests in flight, and has no window';
const ONE_EACH = '"concurrency" counts each request in flight as one';

/** Fields that an algorithm has no use for, and why. */
const FOREIGN: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "token-bucket": { maxConcurrent: NEEDS_CONCURRENCY, calendar: NEEDS_FIXED, timeZone: NEEDS_FIXED },
  "sliding-window": {
    maxConcurrent: NEEDS_CONCURRENCY,
    burst: ALL_AT_ONCE,
    calendar: NEEDS_FIXED,
    timeZone: NEEDS_FIXED,
  },
  "approximate-sliding-window": {
    maxConcurrent: NEEDS_CONCURRENCY,
    burst: ALL_AT_ONCE,
    calendar: NEEDS_FIXED,
    timeZone: NEEDS_FIXED,
  },
  "fixed-window": { maxConcurrent: NEEDS_CONCURRENCY, burst: ALL_AT_ONCE },
  concurrency: {
    requestsPerWindow: '"maxConcurrent" says how many at once',
    windowSeconds: IN_FLIGHT,
    window: IN_FLIGHT,
    burst: IN_FLIGHT,
    calendar: IN_FLIGHT,
    timeZone: IN_FLIGHT,
    ban: IN_FLIGHT,
    cost: ONE_EACH,
    settle: ONE_EACH,
    maxDebt: ONE_EACH,
    countWhen: ONE_EACH,
    countCacheHits: ONE_EACH,
  },
};

const foreignFields: readonly Rule[] = Object.entries(FOREIGN).flatMap(([algorithm, fields]) =>
  Object.entries(fields).map(([field, because]) => ({
    field,
    broken: (limit: Written, taken: string) => taken === algorithm && has(limit, field),
    wanted: `nothing: ${because}`,
  })),
);

const rules: readonly Rule[] = [
  ...foreignFields,
  {
    field: "requestsPerWindow",
    broken: (limit, algorithm) => isOn(limit) && algorithm !== "concurrency" && !has(limit, "requestsPerWindow"),
    wanted: "a whole number, at least 1: the field is required",
  },
  {
    field: "maxConcurrent",
    broken: (limit, algorithm) => isOn(limit) && algorithm === "concurrency" && !has(limit, "maxConcurrent"),
    wanted: "a whole number, at least 1: the field is required",
  },
  {
    field: "windowSeconds",
    broken: (limit, algorithm) =>
      algorithm !== "concurrency" && algorithm !== "fixed-window" && !hasOneOf(limit, ["windowSeconds", "window"]),
    wanted: 'exactly one of "windowSeconds" and "window"',
  },
  {
    field: "windowSeconds",
    broken: (limit, algorithm) =>
      algorithm === "fixed-window" && !has(limit, "calendar") && !hasOneOf(limit, ["windowSeconds", "window"]),
    wanted: 'exactly one of "windowSeconds", "window" and "calendar"',
  },
  {
    field: "calendar",
    broken: (limit, algorithm) =>
      algorithm === "fixed-window" && has(limit, "calendar") && (has(limit, "window") || has(limit, "windowSeconds")),
    wanted: 'exactly one of "windowSeconds", "window" and "calendar"',
  },
  {
    field: "timeZone",
    broken: (limit, algorithm) => algorithm === "fixed-window" && has(limit, "timeZone") && !has(limit, "calendar"),
    wanted: 'nothing without "calendar": a window of a fixed length is the same everywhere',
  },
  {
    field: "mode",
    broken: ({ mode }, algorithm) => mode === "leased" && algorithm === "approximate-sliding-window",
    wanted: '"strict" or nothing: an approximate window cannot be lent; for leases take "sliding-window"',
  },
  {
    field: "mode",
    broken: (limit) => limit["mode"] === "leased" && (has(limit, "settle") || countsSome(limit)),
    wanted: '"strict" or nothing: with "settle", "countWhen" and "countCacheHits" the owner decides about each request',
  },
  {
    field: "mode",
    broken: ({ mode }, algorithm) => mode === "strict" && algorithm === "concurrency",
    wanted: '"leased" or nothing: permits are always lent, and never more than "maxConcurrent" of them',
  },
  {
    field: "maxDebt",
    broken: (limit, algorithm) => algorithm !== "concurrency" && has(limit, "maxDebt") && !has(limit, "settle"),
    wanted: 'nothing without "settle": only costs that are known afterwards make debts',
  },
  {
    field: "cost",
    broken: (limit) => limit["cost"] === 0 && !has(limit, "settle"),
    wanted: 'more than 0, or "settle" beside it: a limit that costs nothing never refuses',
  },
  {
    field: "ban",
    broken: (limit) => bans(limit) && countsSome(limit),
    wanted:
      'nothing beside "countWhen" or "countCacheHits": every request is an attempt, so clients whose requests do not count would be banned',
  },
  {
    field: "ban",
    broken: (limit) => bans(limit) && isKeys(limit["by"]) && isForEverybody(limit["by"]),
    wanted: 'nothing with "by" "all" or "route" alone: one client could have everybody banned',
  },
  {
    field: "ban",
    broken: (limit) => {
      const limited = limit["requestsPerWindow"];
      return bans(limit) && typeof limited === "number" && limited >= 1 && limited < LEAST_BANNABLE;
    },
    wanted: `a limit of at least ${LEAST_BANNABLE} "requestsPerWindow": below it nobody is ever banned, since one reload of a page would do it`,
  },
];

/** What a limit states that cannot be had together. */
export function brokenRules(limit: Written): readonly Rule[] {
  const { algorithm = "token-bucket" } = limit;
  return typeof algorithm === "string" ? rules.filter(({ broken }) => broken(limit, algorithm)) : [];
}

function has(limit: Written, field: string): boolean {
  return limit[field] !== undefined;
}

function hasOneOf(limit: Written, fields: readonly string[]): boolean {
  const stated = fields.filter((field) => has(limit, field)).length;
  return stated === 1 || (stated === 0 && !isOn(limit));
}

function isOn(limit: Written): boolean {
  return limit["enabled"] !== false;
}

/** Only some requests cost something, and which is known afterwards. */
function countsSome(limit: Written): boolean {
  return has(limit, "countWhen") || limit["countCacheHits"] === false;
}

function bans({ ban }: Written): boolean {
  if (typeof ban !== "object" || ban === null) return ban === true;
  return !("enabled" in ban) || ban.enabled !== false;
}

function isKeys(by: unknown): by is readonly LimitKey[] {
  return Array.isArray(by) && by.every((key: unknown) => typeof key === "object" && key !== null && "kind" in key);
}
