import type { LeaseMessage, LeaseReply } from "./leases/lease-messages.ts";
import type { BanNotice, TakeMessage, TakeReply } from "./messages.ts";

/** The answer to a take for a banned client: nothing is decided, nothing is taken. */
export function takeWhileBanned(message: TakeMessage, ban: BanNotice): TakeReply {
  const items = message.items.map(({ policy }) => ({
    policy,
    allowed: false,
    remaining: 0,
    retryAfterMs: ban.remainingMs,
  }));
  return { v: 1, allowed: false, items, ban };
}

/**
 * The answer to a lease message for a banned client: nothing is decided, granted or credited, and no lease is left. What
 * the isolate held comes back when the owner's record of the lease ends.
 */
export function leaseWhileBanned(message: LeaseMessage, ban: BanNotice): LeaseReply {
  const items = message.items.map(({ policy }) => ({
    policy,
    allowed: false,
    remaining: 0,
    retryAfterMs: ban.remainingMs,
    kept: 0,
    granted: 0,
    rem: 0,
    room: 0,
    roomMs: null,
  }));
  return { v: 1, allowed: false, leaseId: null, ttlMs: 0, holdMs: 0, closeIdleMs: null, items, ban };
}
