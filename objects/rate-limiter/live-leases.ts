import type { ClientState, LiveLease, PolicyState } from "./client-state.ts";
import { LEASE_RULES, MAX_TTL_MS, type LeaseRules } from "./lease-rules.ts";
import { advance, type Bucket, type BucketLimit } from "./token-bucket.ts";

/** Told of every stretch over which a bucket is advanced, before it is. */
export type OnAdvance = (policy: string, bucket: Bucket, limit: BucketLimit, to: number) => void;

/**
 * Ends the leases whose time is over: what they held no longer counts against the ceiling from their last moment on,
 * and nothing is credited, because their isolates may have spent it. The state itself when nothing ends.
 *
 * A clock that stepped back a little stands still here as it does for the bucket. After a larger step no lease has
 * more than the longest life before it, so a jump cannot tie tokens up for longer.
 */
export function endLeases(
  state: ClientState,
  now: number,
  rules: LeaseRules = LEASE_RULES,
  onAdvance: OnAdvance = () => {},
): ClientState {
  const { leases } = state;
  if (leases === undefined || leases.live.length === 0) return state;
  const latest = now + MAX_TTL_MS + rules.guardMs;
  if (leases.live.every(({ expiresAt }) => expiresAt > now && expiresAt <= latest)) return state;
  const live: LiveLease[] = [];
  const ended: LiveLease[] = [];
  for (const lease of leases.live) {
    const isOver = lease.expiresAt <= now;
    if (isOver) ended.push(lease);
    if (!isOver) live.push({ ...lease, expiresAt: Math.min(lease.expiresAt, latest) });
  }
  ended.sort((a, b) => a.expiresAt - b.expiresAt);
  const policies = state.policies.map((policy) => endOf(policy, ended, rules, onAdvance));
  return { ...state, policies, leases: { ...leases, live } };
}

/** What one policy's live lease of this id holds; undefined when none is live. */
export function findLease(state: ClientState, policy: string, id: number): LiveLease | undefined {
  return state.leases?.live.find((lease) => lease.id === id && lease.policy === policy);
}

/** When the first live lease of a policy ends, in ms since the epoch; undefined without one. */
export function firstEnd(live: readonly LiveLease[], policy: string): number | undefined {
  let first: number | undefined;
  for (const lease of live) {
    if (lease.policy === policy && (first === undefined || lease.expiresAt < first)) first = lease.expiresAt;
  }
  return first;
}

/**
 * An id that no lease of this client has had: the time where possible, so that ids rise even when the record of the
 * last one was forgotten.
 */
export function nextLeaseId(state: ClientState, now: number): number {
  return Math.max(now, (state.leases?.lastId ?? -Infinity) + 1);
}

function endOf(policy: PolicyState, ended: readonly LiveLease[], rules: LeaseRules, onAdvance: OnAdvance): PolicyState {
  let { bucket } = policy;
  for (const lease of ended) {
    if (lease.policy !== policy.policy) continue;
    if (lease.expiresAt > bucket.last) {
      onAdvance(policy.policy, bucket, policy.limit, lease.expiresAt);
      bucket = advance(bucket, policy.limit, lease.expiresAt);
    }
    bucket = { ...bucket, outstanding: bucket.outstanding - rules.outstandingOf(lease.tokens) };
  }
  return bucket === policy.bucket ? policy : { ...policy, bucket };
}
