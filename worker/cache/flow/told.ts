import type { Exchange } from "../../exchange.ts";
import { cacheStatus, xCache, type CacheOutcome } from "../cache-status.ts";
import { TAG_FIELDS } from "../tags.ts";
import { countOutcome } from "./tally.ts";

/** Says in an answer, and in the log, what the cache did. An answer of the origin's loses what is for caches alone. */
export function told(exchange: Exchange, answer: Response, outcome: CacheOutcome): Response {
  const { headers } = answer;
  const { notes } = exchange;
  notes.cache = xCache(outcome);
  countOutcome(notes.cache);
  if (outcome.detail !== undefined) notes.cacheWhy = outcome.detail;
  headers.set("cache-status", cacheStatus(headers.get("cache-status"), shared(outcome, notes.flight)));
  headers.set("x-cache", notes.cache);
  for (const name of TAG_FIELDS) headers.delete(name);
  return answer;
}

/** Says, too, whether it waited for another's request. */
function shared(outcome: CacheOutcome, flight: Exchange["notes"]["flight"]): CacheOutcome {
  if (outcome.kind === "hit" || flight === undefined || flight === "led") return outcome;
  const isCollapsed = flight === "joined";
  return { ...outcome, isCollapsed, detail: isCollapsed ? outcome.detail : "hit-for-miss" };
}

/** The outcome of a request that the origin has answered. */
export function forwarded(
  why: Extract<CacheOutcome, { kind: "forwarded" }>["why"],
  rest: Partial<Omit<Extract<CacheOutcome, { kind: "forwarded" }>, "kind" | "why">> = {},
): CacheOutcome {
  return {
    kind: "forwarded",
    why,
    status: undefined,
    ttlMs: undefined,
    isStored: false,
    isCollapsed: undefined,
    detail: undefined,
    ...rest,
  };
}
