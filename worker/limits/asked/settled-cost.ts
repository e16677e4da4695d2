import { settledCost, timesMultiplier } from "../../../objects/rate-limiter/algorithms/cost.ts";
import type { RateLimit } from "../../../schemas/index.ts";

/** What a served request showed, as far as its cost depends on it. */
export interface Served {
  readonly status: number;
  /** The gateway itself failed: there is no answer of the origin, and the status is that of the error. */
  readonly isGatewayError: boolean;
  /** The client left while the origin may have been at work: what came of that, nobody here knows. Absent: it did not. */
  readonly isAbandoned?: boolean;
  /** It came from the cache: no origin has worked for it, nor said now what it costs. Absent: it did not. */
  readonly isHit?: boolean;
  /** Of the body, as sent; undefined: nobody counted them. */
  readonly bytes: number | undefined;
  header(name: string): string | null;
}

/** Whether the owner hears only afterwards what a request under this limit has cost. */
export function isSettled({ settle, countWhen, countCacheHits }: RateLimit): boolean {
  return settle !== undefined || countWhen !== undefined || !countCacheHits;
}

/** Whether what a request costs under this limit is known only when its body has ended. */
export function dependsOnBody(limit: RateLimit, served: Omit<Served, "bytes">): boolean {
  return limit.settle?.kind === "bytes" && !served.isGatewayError && counts(limit, served);
}

/**
 * What a request turned out to cost under a limit, in units. What does not count costs nothing; an answer that does not
 * say what it cost has cost what was reserved for it.
 *
 * @param reserved in units.
 */
export function costOfServed(limit: RateLimit, reserved: number, served: Served): number {
  const { settle, unitsPerToken, multiplier } = limit;
  if (served.isHit === true && !limit.countCacheHits) return 0;
  // Whoever can look for the outcome elsewhere could try passwords for nothing, if leaving in time were for nothing.
  if (served.isAbandoned === true && settle?.kind !== "bytes") return reserved;
  if (!counts(limit, served)) return 0;
  if (settle === undefined) return reserved;
  if (settle.kind === "bytes" && served.bytes === undefined) return reserved;
  const response = { bytes: served.bytes ?? 0, header: (name: string) => served.header(name) };
  const units = settledCost(settle, response, unitsPerToken);
  return units === undefined ? reserved : timesMultiplier(units, multiplier);
}

function counts(limit: RateLimit, { status, isGatewayError, isHit }: Omit<Served, "bytes">): boolean {
  const { countWhen, countCacheHits } = limit;
  if (isHit === true && !countCacheHits) return false;
  if (countWhen === undefined) return true;
  if (isGatewayError && !countWhen.gatewayErrors) return false;
  return countWhen.statuses.some(({ from, to }) => from <= status && status <= to);
}
