import type { TakeReply, TakeReplyItem } from "../../../objects/rate-limiter/messages.ts";
import type { RateLimit } from "../../../schemas/index.ts";
import { clientTable } from "../client-tables.ts";
import { isSettled } from "./settled-cost.ts";

/** One request, as far as an owner's refusal of it is about others. */
export interface Denied {
  /** Names the client, the limits and their numbers: under other ones nothing is known. */
  readonly key: string;
  readonly limits: readonly RateLimit[];
  /** In units, in the order of the limits. */
  readonly costs: readonly number[];
}

/** What an owner said to a request that it refused. */
interface Denial {
  readonly toldAt: number;
  readonly costs: readonly number[];
  readonly items: readonly TakeReplyItem[];
}

/**
 * How long a refusal is believed. Tokens that others give back, an operator's grant and a settlement elsewhere are felt after
 * this at the latest, which is no later than a client comes back that does as `Retry-After` says.
 */
const BELIEVED_MS = 1_000;

const denials = clientTable<Denial>();

/** Takes in an owner's answer: a refusal is remembered, anything else means that there is something again. */
export function learnDenial({ key, costs }: Denied, reply: TakeReply, now: number): void {
  // Of a banned client nothing was decided.
  if (reply.allowed || reply.ban !== undefined) return forgetDenial(key);
  denials.set(key, { toldAt: now, costs, items: reply.items });
}

/** Forgets what was refused, because this isolate gave something back. */
export function forgetDenial(key: string): void {
  if (denials.size > 0) denials.delete(key);
}

/**
 * What the owner would say to a request, where it is known to refuse that; undefined: ask it. Known is the refusal of the
 * same cost and of a higher one, not of a lower one.
 */
export function knownDenial({ key, limits, costs }: Denied, now: number): readonly TakeReplyItem[] | undefined {
  const denial = denials.size === 0 ? undefined : denials.get(key);
  if (denial === undefined) return undefined;
  const ageMs = now - denial.toldAt;
  if (ageMs < 0 || ageMs >= BELIEVED_MS) {
    denials.delete(key);
    return undefined;
  }
  let isRefused = false;
  const items: TakeReplyItem[] = [];
  for (const [index, limit] of limits.entries()) {
    const told = denial.items[index];
    // In another window than the owner spoke of, nothing is as it was.
    if (told === undefined || (told.resetMs ?? Infinity) <= ageMs) return undefined;
    const retryAfterMs = waitOf(limit, told, { told: denial.costs[index] ?? 0, asked: costs[index] ?? 0, ageMs });
    const allowed = retryAfterMs === 0;
    isRefused ||= !allowed && !limit.shadow;
    const { policy, remaining, resetMs } = told;
    const item = { policy, allowed, remaining, retryAfterMs };
    items.push(resetMs === undefined ? item : { ...item, resetMs: resetMs - ageMs });
  }
  return isRefused ? items : undefined;
}

/** How long a cost still has to wait under one limit; 0: that is not known; null: for ever. */
function waitOf(
  limit: RateLimit,
  { allowed, retryAfterMs }: TakeReplyItem,
  { told, asked, ageMs }: { readonly told: number; readonly asked: number; readonly ageMs: number },
): number | null {
  if (allowed || asked < told) return 0;
  const { algorithm, burst, requestsPerWindow, windowMs, unitsPerToken } = limit;
  const capacity = (algorithm === "token-bucket" ? burst : requestsPerWindow) * unitsPerToken;
  if (retryAfterMs === null || asked > capacity) return null;
  const leftMs = Math.max(0, retryAfterMs - ageMs);
  // All of a fixed window comes back at once.
  if (asked === told || algorithm === "fixed-window") return leftMs;
  // Of windows that slide and of what is reserved only the owner knows when more of it comes back.
  if (algorithm !== "token-bucket" || isSettled(limit)) return 0;
  const moreMs = Math.floor(((asked - told) * windowMs) / (requestsPerWindow * unitsPerToken));
  return Math.max(0, retryAfterMs + moreMs - ageMs);
}
