import { advance } from "./algorithms/allowance.ts";
import type { ClientState } from "./client-state.ts";

/**
 * How near to full the buckets of one client have come lately; in memory only. What is gone of it costs refunds, and
 * admits nothing.
 */
export interface RefundRoom {
  /** What came before is not known, or forgotten. */
  readonly since: number;
  /** In the order of time, mostly without those that a later one of the same policy undercuts. */
  readonly lows: readonly Low[];
}

/** How much a bucket lacked to be full. */
interface Low {
  readonly policy: string;
  readonly at: number;
  /** Whole tokens, those on lease counted as there. */
  readonly room: number;
}

/** A refund comes within the deadline of its request; one that is later is lost. */
const HORIZON_MS = 5_000;
const MAX_LOWS = 256;

/** Notes how full the buckets of a state have come by now. To be called with each state before another takes its place. */
export function noteRoom(known: RefundRoom | undefined, before: ClientState, now: number): RefundRoom {
  const lows = before.policies.flatMap((policy): Low[] => {
    if (policy.algorithm !== "token-bucket") return [];
    const advanced = advance(policy, now);
    if (advanced.algorithm !== "token-bucket") return [];
    const { bucket, limit } = advanced;
    return [{ policy: policy.policy, at: now, room: Math.max(0, limit.burst - bucket.tokens - bucket.outstanding) }];
  });
  if (known === undefined) return { since: now, lows };
  // The latest are looked at alone: one that stays beside a lower one says nothing new, and nothing wrong.
  let to = known.lows.length;
  while (to > 0 && isUndercut(known.lows[to - 1], lows)) to -= 1;
  const from = Math.max(0, to + lows.length - MAX_LOWS);
  const gone = known.lows.slice(0, from).map(({ at }) => at);
  const since = Math.max(known.since, now - HORIZON_MS, ...gone);
  return { since, lows: [...known.lows.slice(from, to), ...lows] };
}

function isUndercut(known: Low | undefined, lows: readonly Low[]): boolean {
  return lows.some((low) => low.policy === known?.policy && low.room <= known.room && low.at >= known.at);
}

/**
 * The most tokens of a take at `takenAt` that may come back: 0 when that is not known.
 *
 * Had nothing been taken, the bucket would have stood higher by the cost; where that passes its burst, refill would have
 * been lost. That refill came instead, and may be spent; given back as well, the tokens would be there twice: take 10 of
 * 10, wait until it is full again, spend 10, get 10 back, spend 10. So as much comes back as there was always room for.
 */
export function roomSince({ since, lows }: RefundRoom, policy: string, takenAt: number | undefined): number {
  if (takenAt === undefined || takenAt < since) return 0;
  let most = Infinity;
  for (const low of lows) if (low.policy === policy && low.at > takenAt) most = Math.min(most, low.room);
  return most;
}

/** After a refund: to all other refunds the bucket has stood higher by its cost since the take. */
export function noteRefund(
  { since, lows }: RefundRoom,
  items: readonly { readonly policy: string; readonly cost: number }[],
  takenAt: number,
): RefundRoom {
  const costs = new Map(items.map(({ policy, cost }) => [policy, cost]));
  return {
    since,
    lows: lows.map(({ policy, at, room }) => {
      return { policy, at, room: at > takenAt ? Math.max(0, room - (costs.get(policy) ?? 0)) : room };
    }),
  };
}
