import { MAX_CLOCK_STEP_BACK_MS } from "../algorithms/token-bucket.ts";

/** At most `permits` (P) operations of one client in flight at once, fleet-wide. */
export interface PermitLimit {
  /** A safe integer of at least 1. */
  readonly permits: number;
  /** How long a lease may be used to start operations, by default counted from the borrower's question. */
  readonly leaseMs: number;
  /** The longest an operation may last. Whoever starts one must end it by then, or the promise is void. */
  readonly operationTimeoutMs: number;
}

/** What the owner remembers of one client. */
export interface Permits {
  /** In the order in which they were granted. */
  readonly leases: readonly PermitGrant[];
  /** Milliseconds since the epoch, by the owner's clock. */
  readonly last: number;
}

/** Permits that one borrower may be using. */
export interface PermitGrant {
  readonly id: string;
  /** The most that the borrower may have in flight. */
  readonly permits: number;
  /** The number of the last question that counted; one that is not above it changes nothing. */
  readonly seq: number;
  /** Until then the borrower may start operations. */
  readonly startsUntil: number;
  /** From then on nothing started under the lease can be in flight: startsUntil + operation timeout + guard. */
  readonly reclaimAt: number;
}

/** A borrower's question: to acquire, renew, give back some, or (nothing kept, nothing wanted) release. */
export interface PermitAsk {
  /** Names the borrower for its life; made by it at random. */
  readonly id: string;
  /** Rises with every question of this borrower. */
  readonly seq: number;
  /** Permits that it goes on using: at least what it has in flight. It has lowered its own count to this already. */
  readonly keep: number;
  /** More permits that it would like, on top of `keep`. */
  readonly want: number;
}

/** The owner's answer. */
export interface PermitReply {
  /** The question that this answers; the borrower ignores an answer to any but its last. */
  readonly seq: number;
  /** The most that the borrower may have in flight. Below `keep` after P was lowered: start nothing until there. */
  readonly permits: number;
  /** What the owner counts for the borrower. Less than it has in flight: those operations are outside the promise. */
  readonly counted: number;
  /** Permits that nobody has. */
  readonly free: number;
  /** How long a permit may lie unused before it should be given back; shorter when few are left. */
  readonly idleMs: number;
  /** How long operations may be started, counted from the moment the question was sent. */
  readonly leaseMs: number;
  /** 0 when all is granted, or nobody else has any; else the longest until another's lease ends by itself. */
  readonly retryAfterMs: number;
}

/** The state after a question, and its answer; undefined: the question came twice or late and has no answer. */
export interface PermitOutcome {
  readonly permits: Permits;
  readonly reply: PermitReply | undefined;
}

/** How far a borrower's and the owner's clock may drift apart over one lease; the same as for token leases. */
const GUARD_MS = 100;
/** A record stays small whatever the fleet does; one more borrower waits. */
const MAX_LEASES = 256;
/** Whoever has one unused while a quarter of them are free will sooner need it himself. */
const IDLE_MS = 500;
/** Somebody may be refused for it. Half of this cost up to a third more calls and refused no fewer. */
const SCARCE_IDLE_MS = 200;

/** The permits of a client never seen: all free. */
export function freePermits(now: number): Permits {
  return { leases: [], last: now };
}

/**
 * The permits of a client whose record was lost at `lostAt`: all in use, until whatever was started under the lost
 * leases has ended.
 */
export function lostPermits(limit: PermitLimit, lostAt: number): Permits {
  return { leases: [{ id: "", permits: limit.permits, seq: 0, ...termsOf(limit, lostAt) }], last: lostAt };
}

/**
 * Takes back the permits of leases under which nothing can be in flight any more, of borrowers that died or were
 * never heard of again. A clock that stepped back reclaims nothing; after a step back of more than 5 s every lease
 * goes on with the time it had left.
 */
export function advance(permits: Permits, now: number): Permits {
  const back = permits.last - now;
  if (back > MAX_CLOCK_STEP_BACK_MS) return { leases: permits.leases.map((lease) => shift(lease, back)), last: now };
  if (back >= 0) return permits;
  return { leases: permits.leases.filter(({ reclaimAt }) => reclaimAt > now), last: now };
}

/**
 * Answers a borrower's question.
 *
 * The promise: operations in flight never exceed P, because a lease counts here from before its grant leaves until
 * nothing started under it can be in flight, and with what its borrower last said to keep plus what it was granted
 * since. A question counts once, in order; lost and repeated ones strand permits until `reclaimAt` at worst. A lower
 * P holds once the operations in flight have ended.
 */
export function answer(permits: Permits, limit: PermitLimit, ask: PermitAsk, now: number): PermitOutcome {
  const advanced = advance(permits, now);
  const known = advanced.leases.find(({ id }) => id === ask.id);
  if (known !== undefined && ask.seq <= known.seq) return { permits: advanced, reply: undefined };
  const others = advanced.leases.filter(({ id }) => id !== ask.id);
  // Who has no lease has nothing in flight either: it was released, or all has ended.
  const kept = Math.min(ask.keep, known?.permits ?? 0);
  const free = limit.permits - inUse(others) - kept;
  const isCrowded = known === undefined && others.length >= MAX_LEASES;
  const granted = isCrowded ? 0 : Math.max(0, Math.min(ask.want, free));
  const retryAfterMs = granted < ask.want ? firstReclaim(others, advanced.last) : 0;
  const leases = record(others, { id: ask.id, seq: ask.seq, permits: kept + granted }, known, limit, advanced.last);
  const reply = {
    seq: ask.seq,
    permits: Math.max(0, Math.min(kept + granted, kept + free)),
    counted: kept + granted,
    free: Math.max(0, free - granted),
    idleMs: 4 * (free - granted) >= limit.permits ? IDLE_MS : SCARCE_IDLE_MS,
    leaseMs: limit.leaseMs,
    retryAfterMs,
  };
  return { permits: { leases, last: advanced.last }, reply };
}

/** Permits that count as in use. */
export function inUse(leases: readonly PermitGrant[]): number {
  return leases.reduce((sum, { permits }) => sum + permits, 0);
}

/** When every permit is free again if nobody asks, in ms since the epoch; `last` when they are. */
export function freeAt(permits: Permits): number {
  return permits.leases.reduce((at, { reclaimAt }) => Math.max(at, reclaimAt), permits.last);
}

function record(
  others: readonly PermitGrant[],
  granted: Pick<PermitGrant, "id" | "seq" | "permits">,
  known: PermitGrant | undefined,
  limit: PermitLimit,
  now: number,
): readonly PermitGrant[] {
  if (granted.permits === 0) return others;
  const terms = termsOf(limit, now);
  // Under a timeout that was cut since, what is in flight may still last as long as it was promised.
  const reclaimAt = Math.max(terms.reclaimAt, known?.reclaimAt ?? 0);
  return [...others, { ...granted, startsUntil: terms.startsUntil, reclaimAt }];
}

function termsOf(limit: PermitLimit, now: number): Pick<PermitGrant, "startsUntil" | "reclaimAt"> {
  const startsUntil = now + limit.leaseMs;
  return { startsUntil, reclaimAt: startsUntil + limit.operationTimeoutMs + GUARD_MS };
}

function shift(lease: PermitGrant, back: number): PermitGrant {
  return { ...lease, startsUntil: lease.startsUntil - back, reclaimAt: lease.reclaimAt - back };
}

function firstReclaim(leases: readonly PermitGrant[], now: number): number {
  const first = leases.reduce((at, { reclaimAt }) => Math.min(at, reclaimAt), Infinity);
  // Nobody else holds any: the borrower itself has all there is, and its own operations end first.
  return first === Infinity ? 0 : first - now;
}
