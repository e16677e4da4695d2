import type { Calendar, RateLimit } from "../../rate-limit-types.ts";
import { isOn } from "../policy.ts";
import { resolveBan, resolveExempt } from "./ban.ts";
import { placesOf, resolveCost, resolveSettle } from "./cost.ts";
import { resolveCountWhen } from "./count-when.ts";
import { largestDebt } from "./countable.ts";
import { isVerified } from "./limit-key.ts";
import type { RateLimitInput } from "./fields.ts";

/** How long the owner of a counter may take before `onError` decides. */
export const DEFAULT_DEADLINE_MS = 150;

/** What a limit that says nothing is. */
const DEFAULT_MODE = "leased";

/** Costs have at most three decimal places. */
const THOUSANDTHS = 1000;

const DAY_MS = 86_400_000;

/** A calendar's windows are not all of one length; what is told of them is their usual or greatest. */
const NOMINAL_MS: Readonly<Record<Calendar["unit"], number>> = {
  minute: 60_000,
  hour: 3_600_000,
  day: DAY_MS,
  week: 7 * DAY_MS,
  month: 31 * DAY_MS,
};

/** The limits of one level as its document states them. */
export interface LimitFields {
  readonly rateLimit?: RateLimitInput | false | undefined;
  readonly rateLimits?: readonly RateLimitInput[] | false | undefined;
}

/** Whose limits are resolved. */
export interface LimitOwner {
  /** Names the counters: `default` at the top level, `route:<routeId>` on a route. */
  readonly id: string;
  /** What the single limit is called when it does not say. */
  readonly name: string;
  /** Of this route. */
  readonly multiplier: number;
  /** Of every route that shares the counters: all must count in the same units. */
  readonly multipliers: readonly number[];
}

/** Whether a level says anything about limits, be it that there are none. */
export function statesRateLimits(fields: LimitFields): boolean {
  return fields.rateLimit !== undefined || fields.rateLimits !== undefined;
}

/** The limits of one level, with defaults. */
export function resolveRateLimits(fields: LimitFields, owner: LimitOwner): readonly RateLimit[] {
  const { rateLimit, rateLimits } = fields;
  if (isOn(rateLimit)) return [resolveRateLimit(rateLimit, { ...owner, name: rateLimit.name ?? owner.name })];
  if (rateLimits === undefined || rateLimits === false) return [];
  return rateLimits.filter(isOn).map((limit, index) => {
    const name = limit.name ?? `${owner.name}-${index + 1}`;
    return resolveRateLimit(limit, { ...owner, id: `${owner.id}:${name}`, name });
  });
}

/** One limit, with defaults. */
export function resolveRateLimit(limit: RateLimitInput, owner: LimitOwner): RateLimit {
  const { algorithm = "token-bucket", by = [{ kind: "ip" }] } = limit;
  const requestsPerWindow = limit.maxConcurrent ?? limit.requestsPerWindow ?? 1;
  const burst = limit.burst ?? requestsPerWindow;
  const windowMs = windowOf(limit);
  const cost = resolveCost(limit.cost, burst);
  const unitsPerToken = algorithm === "concurrency" ? 1 : unitsFor([...placesOf(cost), ...owner.multipliers]);
  const maxDebt = Math.min(limit.maxDebt ?? burst, largestDebt({ algorithm, burst, windowMs, unitsPerToken }));
  return {
    // Counts in other units are another counter: read as the old ones, a used-up month would be a thousandth of one.
    id: unitsPerToken === 1 ? owner.id : `${owner.id}/${unitsPerToken}`,
    name: owner.name,
    requestsPerWindow,
    windowMs,
    burst,
    by,
    algorithm,
    mode: modeOf(limit),
    calendar: limit.calendar === undefined ? undefined : { unit: limit.calendar, timeZone: limit.timeZone ?? "UTC" },
    maxConcurrent: limit.maxConcurrent,
    cost,
    multiplier: algorithm === "concurrency" ? 1 : owner.multiplier,
    unitsPerToken,
    settle: resolveSettle(limit.settle, burst + maxDebt),
    maxDebt: limit.settle === undefined ? 0 : maxDebt,
    countWhen: resolveCountWhen(limit.countWhen),
    exempt: resolveExempt(limit.exempt),
    countCacheHits: limit.countCacheHits ?? true,
    ban: resolveBan(limit.ban),
    onError: limit.onError ?? "local",
    clients: limit.clients ?? (isVerified(by) ? "own" : "pooled"),
    shadow: limit.shadow ?? false,
    legacyHeaders: limit.legacyHeaders ?? false,
    deadlineMs: limit.deadline ?? DEFAULT_DEADLINE_MS,
  };
}

/** Not 10 or 100 for fewer places: then each further place would make a new counter, and not only the first. */
function unitsFor(decimals: readonly number[]): number {
  return decimals.every(Number.isInteger) ? 1 : THOUSANDTHS;
}

function modeOf({ algorithm, mode, settle, countWhen, countCacheHits }: RateLimitInput): RateLimit["mode"] {
  if (algorithm === "concurrency") return "leased";
  const isSettled = settle !== undefined || countWhen !== undefined || countCacheHits === false;
  return isSettled || algorithm === "approximate-sliding-window" ? "strict" : (mode ?? DEFAULT_MODE);
}

function windowOf({ algorithm, windowSeconds, window, calendar }: RateLimitInput): number {
  if (algorithm === "concurrency") return 1000;
  return calendar === undefined ? (windowSeconds ?? window ?? 1) : NOMINAL_MS[calendar];
}
