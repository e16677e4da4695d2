import { clockOf, type Allowance } from "../algorithms/allowance.ts";
import { endLent } from "../algorithms/allowance-leases.ts";
import type { ClientState, Leases, LiveLease, PolicyState } from "../client-state.ts";
import { LEASE_RULES, MAX_TTL_MS, type LeaseRules } from "./lease-rules.ts";
import { MAX_RESERVE_MS } from "../messages.ts";
import { MAX_CLOCK_STEP_BACK_MS, type Bucket, type BucketLimit } from "../algorithms/token-bucket.ts";

/** Told of every stretch over which a bucket is advanced, before it is. */
export type OnAdvance = (policy: string, bucket: Bucket, limit: BucketLimit, to: number) => void;

/**
 * Ends the leases and reservations whose time is over: what they held no longer counts against the ceiling from their
 * last moment on, and nothing is credited, because it may have been spent. The state itself when nothing ends.
 *
 * A clock that stepped back a little stands still here as it does for the bucket. After a larger step no lease has
 * more than the longest life before it, so a jump cannot tie tokens up for longer; and since what windows count has
 * moved, leases of before can't come back into them.
 */
export function endLeases(
  state: ClientState,
  now: number,
  rules: LeaseRules = LEASE_RULES,
  onAdvance: OnAdvance = () => {},
): ClientState {
  const { leases } = state;
  if (leases === undefined) return state;
  const moved = state.policies.filter((policy) => isMoved(policy, now)).map(({ policy }) => policy);
  const live = sortOut(leases.live, moved, now, now + MAX_TTL_MS + rules.guardMs);
  const reserved = sortOut(leases.reserved ?? [], moved, now, now + MAX_RESERVE_MS);
  if (live === undefined && reserved === undefined) return state;
  const ended = [...(live?.ended ?? []), ...(reserved?.ended ?? [])].sort((a, b) => a.expiresAt - b.expiresAt);
  const policies = state.policies.map((policy) => endOf(policy, ended, rules, onAdvance));
  return {
    ...state,
    policies,
    leases: withReserved(
      { lastId: leases.lastId, live: live?.going ?? leases.live },
      reserved?.going ?? leases.reserved,
    ),
  };
}

/** Leases with these reservations; without any, the member is left out. */
export function withReserved(leases: Leases, reserved: readonly LiveLease[] | undefined): Leases {
  const { lastId, live } = leases;
  return reserved === undefined || reserved.length === 0 ? { lastId, live } : { lastId, live, reserved };
}

/** A cost that a take holds. */
export interface NewReservation {
  readonly policy: string;
  readonly tokens: number;
  readonly reserveMs: number;
  /** See `Lent`. */
  readonly countedAt?: number;
}

/** The state with one more reservation over these policies, and its id. */
export function addReservations(
  state: ClientState,
  added: readonly NewReservation[],
  now: number,
): { readonly state: ClientState; readonly reservation: number } {
  const reservation = nextLeaseId(state, now);
  const reserved = added.map(({ reserveMs, ...rest }) => ({ id: reservation, expiresAt: now + reserveMs, ...rest }));
  const { live = [], reserved: before = [] } = state.leases ?? {};
  return {
    state: { ...state, leases: { lastId: reservation, live, reserved: [...before, ...reserved] } },
    reservation,
  };
}

/** When the live leases and reservations of a policy end, in ms since the epoch. */
export function leaseEnds({ leases }: ClientState, policy: string): readonly number[] {
  const ends: number[] = [];
  for (const lease of leases?.live ?? []) if (lease.policy === policy) ends.push(lease.expiresAt);
  for (const lease of leases?.reserved ?? []) if (lease.policy === policy) ends.push(lease.expiresAt);
  return ends;
}

/** What one policy's live lease of this id holds; undefined when none is live. */
export function findLease(state: ClientState, policy: string, id: number): LiveLease | undefined {
  return state.leases?.live.find((lease) => lease.id === id && lease.policy === policy);
}

/**
 * An id that no lease of this client has had: the time where possible, so that ids rise even when the record of the
 * last one was forgotten.
 */
export function nextLeaseId(state: ClientState, now: number): number {
  return Math.max(now, (state.leases?.lastId ?? -Infinity) + 1);
}

/** Leases that go on and those that ended, or undefined when all go on as they are. */
function sortOut(
  leases: readonly LiveLease[],
  moved: readonly string[],
  now: number,
  latest: number,
): { readonly going: readonly LiveLease[]; readonly ended: readonly LiveLease[] } | undefined {
  const isLost = ({ policy, countedAt }: LiveLease) => countedAt !== undefined && moved.includes(policy);
  const isSame = leases.every((lease) => lease.expiresAt > now && lease.expiresAt <= latest && !isLost(lease));
  // There may be a thousand reservations, and mostly none of them has changed.
  if (isSame) return undefined;
  const going: LiveLease[] = [];
  const ended: LiveLease[] = [];
  for (const lease of leases) {
    if (lease.expiresAt <= now) {
      ended.push(lease);
      continue;
    }
    const { id, policy, tokens } = lease;
    const expiresAt = Math.min(lease.expiresAt, latest);
    going.push(isLost(lease) ? { id, policy, tokens, expiresAt } : { ...lease, expiresAt });
  }
  return { going, ended };
}

function isMoved(policy: PolicyState, now: number): boolean {
  return policy.algorithm !== "token-bucket" && clockOf(policy) - now > MAX_CLOCK_STEP_BACK_MS;
}

function endOf(policy: PolicyState, ended: readonly LiveLease[], rules: LeaseRules, onAdvance: OnAdvance): PolicyState {
  let allowance: Allowance = policy;
  for (const lease of ended) {
    if (lease.policy !== policy.policy) continue;
    if (allowance.algorithm === "token-bucket") {
      onAdvance(lease.policy, allowance.bucket, allowance.limit, lease.expiresAt);
    }
    allowance = endLent(allowance, lease.tokens, lease.expiresAt, rules);
  }
  return allowance === policy ? policy : { ...allowance, policy: policy.policy, configVersion: policy.configVersion };
}
