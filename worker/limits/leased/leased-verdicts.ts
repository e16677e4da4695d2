import { knownWait, remainingOf, type Holding } from "../../../objects/rate-limiter/leases/borrower.ts";
import type { Admitted, Refused } from "../../../objects/rate-limiter/leases/lease.ts";
import type { LeaseReply } from "../../../objects/rate-limiter/leases/lease-messages.ts";
import type { RateLimit } from "../../../schemas/index.ts";
import type { Verdict } from "../headers.ts";
import type { TableEntry } from "./lease-table.ts";

/** What is told of a limit beside the numbers that this isolate knows. */
interface Said {
  readonly allowed: boolean;
  readonly retryAfterMs: number | null;
}

/** A client's entry, and the limits as the request's own route states them: routes that share a limit have one each. */
export interface Judged {
  readonly entry: TableEntry;
  readonly limits: readonly RateLimit[];
  /** In units. */
  readonly costs: readonly number[];
}

const PASSES: Said = { allowed: true, retryAfterMs: 0 };

/** The verdicts on a request that spent what is held. */
export function admittedVerdicts(judged: Judged, { shadowed }: Admitted, now: number): readonly Verdict[] {
  if (!shadowed) return verdicts(judged, now, () => PASSES);
  return verdicts(judged, now, (index, holding) => {
    if (!holding.shadowed) return PASSES;
    const cost = judged.costs[index] ?? 0;
    const wait = Math.ceil(knownWait(judged.entry.borrower, holding, cost, now));
    return { allowed: false, retryAfterMs: cost > holding.capacity ? null : wait };
  });
}

/** The verdicts on a request that was refused by what is known. */
export function refusedVerdicts(judged: Judged, { retryAfterMs }: Refused, now: number): readonly Verdict[] {
  return verdicts(judged, now, (index) => {
    const wait = retryAfterMs[index] ?? null;
    return wait === 0 ? PASSES : { allowed: false, retryAfterMs: wait };
  });
}

/** The verdicts of the owner, after its reply has been taken in. Throws when it speaks of other limits. */
export function repliedVerdicts(judged: Judged, reply: LeaseReply, now: number): readonly Verdict[] {
  return verdicts(judged, now, (index, { limit }) => {
    const item = reply.items[index];
    if (item?.policy === limit.policy) return item;
    throw new Error(`RateLimiter answered about ${item?.policy ?? "nothing"} where ${limit.policy} was asked`);
  });
}

/** What may be said of the limits of a request that another limit refused. */
export function releasedVerdicts(judged: Judged, now: number): readonly Verdict[] {
  return verdicts(judged, now, () => PASSES);
}

function verdicts(
  { entry: { borrower, labels }, limits }: Judged,
  now: number,
  say: (index: number, holding: Holding) => Said,
): readonly Verdict[] {
  const said: Verdict[] = [];
  for (let index = 0; index < limits.length; index++) {
    const limit = limits[index];
    const holding = borrower.holdings[index];
    const label = labels[index];
    if (limit === undefined || holding === undefined || label === undefined) continue;
    const { allowed, retryAfterMs } = say(index, holding);
    const remaining = tokensOf(remainingOf(borrower, index, now), limit);
    const resetMs = limit.algorithm === "fixed-window" ? holding.levelAt + holding.roomMs - now : 0;
    const verdict = { limit, label, allowed, remaining, retryAfterMs };
    said.push(resetMs > 0 ? { ...verdict, resetMs } : verdict);
  }
  return said;
}

function tokensOf(units: number, { unitsPerToken }: RateLimit): number {
  return unitsPerToken === 1 ? units : Math.floor(units / unitsPerToken);
}
