import { ask, end, giveUp, heard, newLease, proceed, start, type PermitLease } from "./permit-lease.ts";
import type { PermitMessage, PermitReplyItem } from "./permit-messages.ts";

/** How permits are lent. */
export interface PermitTerms {
  /** How long operations may be started under a lease. */
  readonly leaseMs: number;
  /**
   * How long one may last without a word of its own (`keepUp`). It bounds how long the permits of a dead isolate stay in
   * use, not how long an operation is.
   */
  readonly operationTimeoutMs: number;
}

/** What the gateway lends by: after an isolate's death all is free again within 20.1 s. */
export const PERMIT_TERMS: PermitTerms = { leaseMs: 5_000, operationTimeoutMs: 15_000 };

/** What an isolate knows of one client's operations under one limit. */
export interface PermitBorrower {
  readonly client: string;
  readonly policy: string;
  readonly terms: PermitTerms;
  configVersion: number;
  /** Operations in flight at once, fleet-wide. */
  limit: number;
  lease: PermitLease;
  /** The most permits that the owner may be counting for this isolate; above the lease's when a message was lost. */
  owed: number;
  /** What the last question wanted for requests that wait. */
  wanted: number;
  /** Requests that found a question under way since it was made. */
  waiting: number;
  /** The most in flight since `since`. */
  peak: number;
  since: number;
  /** As the owner said it last. */
  idleMs: number;
  free: number;
  /** Until then the owner has no permit for anybody. */
  refusedUntil: number;
}

/** What an isolate does with a request. */
export type PermitArrival =
  /** It goes ahead; `renewal` is to be sent off the request's path. */
  | { readonly kind: "started"; readonly operation: number; readonly renewal: PermitMessage | undefined }
  /** None is free; nobody was asked. */
  | { readonly kind: "refused" }
  /** The owner is to be asked; come back with its answer taken in. */
  | { readonly kind: "ask"; readonly message: PermitMessage }
  /** A question is under way: come back after so long. Waiting for its promise could wedge the isolate. */
  | { readonly kind: "wait"; readonly pollMs: number };

const POLL_MS = 5;
/** After this a question counts as lost, and a late answer changes nothing any more. */
export const PERMIT_CALL_MS = 1_000;
/** How long the owner's refusal is believed: four questions a second, whatever a client sends. */
const REFUSAL_MS = 250;
/** An operation that has not ended so long after its timeout has lost its request without a word. */
const FORSAKEN_MS = 1_000;

const REFUSED: PermitArrival = { kind: "refused" };
const WAIT: PermitArrival = { kind: "wait", pollMs: POLL_MS };

/** A borrower that has nothing yet. @param id names it at the owner; random, at most 64 characters. */
export function newPermitBorrower(
  id: string,
  named: { readonly client: string; readonly policy: string; readonly configVersion: number; readonly limit: number },
  terms: PermitTerms = PERMIT_TERMS,
): PermitBorrower {
  return {
    ...named,
    terms,
    lease: newLease(id),
    owed: 0,
    wanted: 0,
    waiting: 0,
    peak: 0,
    since: 0,
    idleMs: 0,
    free: 0,
    refusedUntil: 0,
  };
}

/**
 * Starts an operation for a request, or says what it takes. One question at a time is under way: a second one would make
 * the first one's answer worthless, and behind a slow owner none would ever count.
 *
 * @param isFirst whether the request comes for the first time.
 */
export function arriveForPermit(borrower: PermitBorrower, now: number, isFirst = true): PermitArrival {
  forgetForsaken(borrower, now);
  const { lease, operation } = start(borrower.lease, now);
  if (operation !== undefined) {
    borrower.lease = lease;
    borrower.peak = Math.max(borrower.peak, lease.operations.length);
    return { kind: "started", operation, renewal: renewalOf(borrower, now) };
  }
  if (now < borrower.refusedUntil) return REFUSED;
  if (isAsking(borrower, now)) {
    if (isFirst) borrower.waiting += 1;
    return WAIT;
  }
  const want = Math.min(borrower.limit, 1 + borrower.waiting);
  return { kind: "ask", message: question(borrower, borrower.lease.permits, want, now) };
}

/** Takes in the owner's reply; only the one to the last question changes anything. */
export function permitAnswered(borrower: PermitBorrower, { reply }: PermitReplyItem, now: number): void {
  if (reply === null) return;
  const lease = heard(borrower.lease, reply);
  if (lease === borrower.lease) return;
  borrower.lease = lease;
  borrower.owed = reply.counted;
  borrower.idleMs = reply.idleMs;
  borrower.free = reply.free;
  // What is new has not been idle yet: whoever asked for it comes now.
  if (borrower.wanted > 0) restartPeak(borrower, now);
  const isShort = lease.permits - lease.operations.length < borrower.wanted;
  borrower.refusedUntil = isShort ? now + Math.min(REFUSAL_MS, reply.retryAfterMs || REFUSAL_MS) : 0;
  borrower.wanted = 0;
}

/** The call of a question failed, or is given up. What it may have brought is given back when it is idle. */
export function permitCallFailed(borrower: PermitBorrower, { items }: PermitMessage): void {
  if (items[0]?.ask.seq === borrower.lease.seq) borrower.lease = giveUp(borrower.lease);
}

/** Ends an operation; again changes nothing. */
export function endOperation(borrower: PermitBorrower, operation: number): void {
  borrower.lease = end(borrower.lease, operation);
}

/**
 * Lets an operation last another `operationTimeoutMs`. False: not now; `renew` and try again, and abort it when its time is
 * over. To be called well before that.
 */
export function keepUp(borrower: PermitBorrower, operation: number, now: number): boolean {
  const lease = proceed(borrower.lease, operation, now);
  if (lease === undefined) return false;
  borrower.lease = lease;
  return true;
}

/** Whether a request would be refused without a call. */
export function isRefusing({ lease, refusedUntil }: PermitBorrower, now: number): boolean {
  const isStartable = now < lease.startsUntil && lease.operations.length < lease.permits;
  return now < refusedUntil && !isStartable;
}

/** Asks to renew the lease for what is in flight; undefined while a question is under way. */
export function renew(borrower: PermitBorrower, now: number): PermitMessage | undefined {
  return isAsking(borrower, now) ? undefined : trimmed(borrower, now);
}

/** When `releaseIdle` is due if nothing more is started, by this isolate's clock; undefined: there is nothing to give back. */
export function releaseAt({ lease, owed, since, idleMs }: PermitBorrower): number | undefined {
  return Math.max(owed, lease.permits) > lease.operations.length ? since + idleMs : undefined;
}

/**
 * Gives back the permits that were not used for as long as the owner said: the message to send; undefined: nothing now,
 * look again at `releaseAt`.
 */
export function releaseIdle(borrower: PermitBorrower, now: number): PermitMessage | undefined {
  forgetForsaken(borrower, now);
  const dueAt = releaseAt(borrower);
  if (dueAt === undefined || now < dueAt || isAsking(borrower, now)) return undefined;
  if (borrower.peak < Math.max(borrower.owed, borrower.lease.permits)) return trimmed(borrower, now);
  restartPeak(borrower, now);
  return undefined;
}

/** Gives back all that is not in flight, because the borrower's place in the table is gone; undefined: there is nothing. */
export function releaseAll(borrower: PermitBorrower, now: number): PermitMessage | undefined {
  return releaseAt(borrower) === undefined ? undefined : question(borrower, 0, 0, now);
}

/** Half of the lease is over: renewed in time, it costs no request a wait. */
function renewalOf(borrower: PermitBorrower, now: number): PermitMessage | undefined {
  if (now < borrower.lease.startsUntil - borrower.terms.leaseMs / 2) return undefined;
  return renew(borrower, now);
}

function trimmed(borrower: PermitBorrower, now: number): PermitMessage {
  const keep = borrower.peak;
  restartPeak(borrower, now);
  return question(borrower, keep, 0, now);
}

function restartPeak(borrower: PermitBorrower, now: number): void {
  borrower.peak = borrower.lease.operations.length;
  borrower.since = now;
}

function question(borrower: PermitBorrower, keep: number, want: number, now: number): PermitMessage {
  const { client, policy, configVersion, limit, terms } = borrower;
  const asked = ask(borrower.lease, keep, want, now);
  borrower.lease = asked.lease;
  borrower.owed = Math.max(borrower.owed, asked.message.keep + asked.message.want);
  borrower.wanted = want;
  borrower.waiting = 0;
  const item = { policy, permits: limit, ...terms, ask: asked.message };
  return { v: 1, configVersion, client, items: [item] };
}

/** Whether a question is under way. */
export function isAsking({ lease: { askedAt } }: PermitBorrower, now: number): boolean {
  return askedAt !== undefined && now - askedAt >= 0 && now - askedAt < PERMIT_CALL_MS;
}

function forgetForsaken(borrower: PermitBorrower, now: number): void {
  const { operations } = borrower.lease;
  const [first] = operations;
  if (first === undefined) return;
  const limitMs = borrower.terms.operationTimeoutMs + FORSAKEN_MS;
  if (operations.every(({ startedAt }) => now - startedAt < limitMs)) return;
  for (const { number, startedAt } of operations) if (now - startedAt >= limitMs) endOperation(borrower, number);
}
