import type { LimitAlgorithm, RateLimit } from "../../rate-limit-types.ts";
import { costsOf } from "./cost.ts";

// Beyond 2^53 a double no longer holds every integer.
const MOST = 2 ** 53;

/** What the arithmetic of a limit depends on. */
export type Countable = Pick<RateLimit, "algorithm" | "burst" | "windowMs" | "unitsPerToken">;

/** A field of a limit that numbers of it don't allow, and the cure. */
export interface LimitFault {
  readonly field: string;
  readonly wanted: string;
}

/** The debt in tokens that can be counted exactly on top of a full bucket. */
export function largestDebt(limit: Countable): number {
  return Math.max(0, mostTokens(limit) - limit.burst);
}

/**
 * What is wrong with the numbers of a limit: it could not be counted exactly, or a request costs more than it ever holds.
 *
 * @param maxDebt as written; undefined: not written, and made as large as fits.
 */
export function numberFaults(limit: RateLimit, maxDebt: number | undefined): readonly LimitFault[] {
  const faults: LimitFault[] = [];
  const { requestsPerWindow, unitsPerToken } = limit;
  if (limit.burst > mostTokens(limit)) faults.push(tooMuch(limit));
  else if (!Number.isSafeInteger(requestsPerWindow * unitsPerToken)) {
    faults.push({ field: "requestsPerWindow", wanted: `at most 2^53 for requestsPerWindow${unitsText(limit)}` });
  }
  if (faults.length === 0 && maxDebt !== undefined && maxDebt > largestDebt(limit)) {
    const wanted = `at most ${largestDebt(limit)}, so that debts are counted exactly (2^53 in all); shorten the window or lower the debt`;
    faults.push({ field: "maxDebt", wanted });
  }
  const dearest = Math.max(...costsOf(limit.cost));
  if (thousandths(dearest) * thousandths(limit.multiplier) > limit.burst * 1e6) {
    const wanted = `costs of at most ${limit.burst}, the most that the limit ever holds: what costs more is always refused`;
    faults.push({ field: "cost", wanted });
  }
  return faults;
}

function tooMuch(limit: RateLimit): LimitFault {
  const units = unitsText(limit);
  switch (limit.algorithm) {
    case "token-bucket":
      return {
        field: "burst",
        wanted: `at most 2^53 for burst (by default requestsPerWindow) times the window in milliseconds${units}, so that the bucket counts exactly; shorten the window or lower the burst`,
      };
    case "approximate-sliding-window":
      return {
        field: "requestsPerWindow",
        wanted: `at most 2^53 for requestsPerWindow times the window in milliseconds${units}, so that the window counts exactly; shorten the window or take "sliding-window"`,
      };
    case "sliding-window":
    case "fixed-window":
    case "concurrency":
      return { field: "requestsPerWindow", wanted: `at most 2^53 for requestsPerWindow${units}` };
  }
}

function unitsText({ unitsPerToken }: RateLimit): string {
  return unitsPerToken === 1 ? "" : ` times ${unitsPerToken} (for the decimal places of the costs)`;
}

/** The most tokens, debt included, that a limit can count without rounding. */
function mostTokens({ algorithm, windowMs, unitsPerToken }: Omit<Countable, "burst">): number {
  return Math.floor(MOST / (unitsPerToken * unitsOfTime(algorithm, windowMs)));
}

/** A bucket counts in parts of 1/windowMs token, an approximate window weighs tokens with milliseconds; others count tokens. */
function unitsOfTime(algorithm: LimitAlgorithm, windowMs: number): number {
  return algorithm === "token-bucket" || algorithm === "approximate-sliding-window" ? windowMs : 1;
}

/** 1.1 * 10 is more than 11 in binary fractions. */
function thousandths(decimal: number): number {
  return Math.round(decimal * 1000);
}
