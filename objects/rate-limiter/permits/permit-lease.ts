import type { PermitAsk, PermitReply } from "./permits.ts";

/** What an isolate knows of one client's permits. */
export interface PermitLease {
  /** Names this borrower at the owner. */
  readonly id: string;
  /** The number of the last question. */
  readonly seq: number;
  /** When the last question was sent; undefined: it is answered, or given up. */
  readonly askedAt: number | undefined;
  /** The most that may be in flight at once. */
  readonly permits: number;
  /** What the owner counts at least. Below the operations in flight: it has forgotten some, and they may not proceed. */
  readonly counted: number;
  /** From then on nothing new is started; by this isolate's clock. */
  readonly startsUntil: number;
  /** The operations in flight, by number, in the order of their starts. */
  readonly operations: readonly Operation[];
  /** The number of the next operation. */
  readonly next: number;
}

/** An operation in flight. */
export interface Operation {
  readonly number: number;
  /** When it started, or last proceeded. */
  readonly startedAt: number;
}

/** The outcome of `start`: the operation's number, to end it with; undefined: no permit, ask the owner. */
export interface Started {
  readonly lease: PermitLease;
  readonly operation: number | undefined;
}

/** A lease that has nothing yet. */
export function newLease(id: string): PermitLease {
  return { id, seq: 0, askedAt: undefined, permits: 0, counted: 0, startsUntil: 0, operations: [], next: 1 };
}

/**
 * Starts an operation if the lease has a permit for it and has not ended. A permit is used again and again; the owner
 * hears nothing of it. Whoever starts must call `end` in a `finally`, on completion, abort, and a client that left,
 * and must abort the operation at the operation timeout.
 */
export function start(lease: PermitLease, now: number): Started {
  if (now >= lease.startsUntil || lease.operations.length >= lease.permits) return { lease, operation: undefined };
  const { next } = lease;
  const operations = [...lease.operations, { number: next, startedAt: now }];
  return { lease: { ...lease, operations, next: next + 1 }, operation: next };
}

/** Ends an operation. Ending it again changes nothing: stream end, abort and `finally` may all call. */
export function end(lease: PermitLease, operation: number): PermitLease {
  const operations = lease.operations.filter(({ number }) => number !== operation);
  return operations.length === lease.operations.length ? lease : { ...lease, operations };
}

/**
 * Lets an operation last another operation timeout, counted from now: to the owner it is as if it ended and another
 * started in its place, so one may last for ever while its lease is renewed. Undefined: not now; renew the lease first, and
 * abort the operation if that doesn't succeed before its timeout. Nor when it has ended.
 */
export function proceed(lease: PermitLease, operation: number, now: number): PermitLease | undefined {
  if (now >= lease.startsUntil || lease.counted < lease.operations.length) return undefined;
  if (!lease.operations.some((one) => one.number === operation)) return undefined;
  const operations = lease.operations.map((one) => (one.number === operation ? { ...one, startedAt: now } : one));
  return { ...lease, operations };
}

/** The operations that have lasted `operationTimeoutMs` and must be aborted now. */
export function overdue(lease: PermitLease, operationTimeoutMs: number, now: number): readonly Operation[] {
  return lease.operations.filter(({ startedAt }) => now - startedAt >= operationTimeoutMs);
}

/**
 * Asks for `want` permits on top of those kept, and renews the lease with it. What is not kept is given back the
 * moment the question is made, before it is sent: the owner may hand it on as soon as it hears.
 *
 * @param keep permits to go on using; never less than the operations in flight, never more than there are.
 */
export function ask(
  lease: PermitLease,
  keep: number,
  want: number,
  now: number,
): { readonly lease: PermitLease; readonly message: PermitAsk } {
  const usable = now < lease.startsUntil ? Math.min(keep, lease.permits) : 0;
  const kept = Math.max(lease.operations.length, usable);
  const counted = Math.min(lease.counted, kept);
  const seq = lease.seq + 1;
  return {
    // Under a lowered limit fewer may be started than are kept; asking raises nothing.
    lease: { ...lease, seq, askedAt: now, permits: Math.min(lease.permits, kept), counted },
    // What the owner has forgotten it may count anew.
    message: { id: lease.id, seq, keep: kept, want: want + kept - counted },
  };
}

/** Takes an answer over. One to an earlier question changes nothing: the owner has counted the later one. */
export function heard(lease: PermitLease, reply: PermitReply): PermitLease {
  if (reply.seq !== lease.seq || lease.askedAt === undefined) return lease;
  // From the sending, not from now: the owner counts from a later moment, so its lease outlasts this one.
  const { permits, counted } = reply;
  return { ...lease, permits, counted, startsUntil: lease.askedAt + reply.leaseMs, askedAt: undefined };
}

/** Gives an unanswered question up, after its deadline. What it kept stays; what it may have been granted is lost. */
export function giveUp(lease: PermitLease): PermitLease {
  return { ...lease, askedAt: undefined };
}
