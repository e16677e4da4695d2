import { parseDictionary, parseList } from "structured-headers";
import type { Signal } from "./pause.ts";

/** What of an upstream's answer tells about its limits. */
export interface LimitFields {
  readonly status: number;
  /** What `Retry-After` asks for; undefined where it says nothing that can be read. */
  readonly retryAfterMs: number | undefined;
  /** The `RateLimit` field. */
  readonly rateLimit: string | null;
}

/**
 * What an answer says of its upstream's limits. 429 and 503 are throttles; `Retry-After` says how long, else `RateLimit`. Any other
 * answer whose `RateLimit` has nothing left pauses until there is.
 *
 * Of `RateLimit` the current draft's form is read (`"default";r=0;t=30`, draft-ietf-httpapi-ratelimit-headers-10) and that of draft 7 before it
 * (`limit=10, remaining=0, reset=30`). `X-RateLimit-*` is not: its reset is seconds with some and a date with others.
 */
export function signalOf({ status, retryAfterMs, rateLimit }: LimitFields): Signal {
  const resetMs = exhaustedMs(rateLimit);
  if (status === 429 || status === 503) return { kind: "throttled", retryAfterMs: retryAfterMs ?? resetMs ?? null };
  return resetMs === undefined ? { kind: "ok" } : { kind: "exhausted", resetMs };
}

/** How long nothing is left, by the longest of its limits; undefined: something is, or nobody knows. */
function exhaustedMs(rateLimit: string | null): number | undefined {
  if (rateLimit === null) return undefined;
  const waits: number[] = [];
  for (const { left, seconds } of readList(rateLimit) ?? readDictionary(rateLimit)) {
    if (left === 0 && typeof seconds === "number" && seconds > 0) waits.push(Math.ceil(seconds * 1_000));
  }
  return waits.length === 0 ? undefined : Math.max(...waits);
}

interface Limit {
  readonly left: unknown;
  readonly seconds: unknown;
}

function readList(text: string): readonly Limit[] | undefined {
  try {
    const limits = parseList(text).map(([, parameters]) => ({
      left: parameters.get("r"),
      seconds: parameters.get("t"),
    }));
    return limits.some(({ left }) => left !== undefined) ? limits : undefined;
  } catch {
    return undefined;
  }
}

function readDictionary(text: string): readonly Limit[] {
  try {
    const fields = parseDictionary(text);
    return [{ left: fields.get("remaining")?.[0], seconds: fields.get("reset")?.[0] }];
  } catch {
    return [];
  }
}
