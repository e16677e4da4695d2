import type { ClientState, PolicyState } from "./client-state.ts";
import type {
  ClientReport,
  PolicyReport,
  RefundMessage,
  RefundReply,
  TakeItem,
  TakeMessage,
  TakeReply,
  TakeReplyItem,
} from "./messages.ts";
import { LEASE_RULES, type LeaseRules } from "./lease-rules.ts";
import { endLeases } from "./live-leases.ts";
import { countOnce } from "./replay-window.ts";
import type { Bucket, BucketDecision, BucketLimit } from "./token-bucket.ts";
import { advance, changeLimit, emptyBucket, fullAt, fullBucket, giveBack, take as takeFrom } from "./token-bucket.ts";

/** A reply, and the state to store before it leaves: the very state that was passed in when there is nothing to store. */
export interface Outcome<Reply> {
  readonly state: ClientState;
  readonly reply: Reply;
}

/**
 * A record is kept this long after its last bucket is full, so that a configuration version, a refund's number and
 * a clock a little wrong are outlived by what they refer to.
 */
const QUIET_MS = 60_000;

/** How long a client with a lost record keeps starting empty: as long as any limit that refills within a month needs. */
const LOST_MEMORY_MS = 31 * 24 * 3_600_000;

/** The limit and bucket that a message's item is decided under. */
export interface OpenPolicy {
  /** What is recorded; undefined for a policy that the client has not met. */
  readonly known: PolicyState | undefined;
  readonly configVersion: number;
  readonly limit: BucketLimit;
  readonly bucket: Bucket;
}

/** One item of a message, decided on its own. */
interface Decided extends Omit<OpenPolicy, "bucket"> {
  readonly item: TakeItem;
  readonly decision: BucketDecision;
}

/**
 * Decides a take: every item that is not a shadow must have its tokens, then all are deducted; else none is.
 *
 * Shadow items never block; one that would have refused is not deducted. A refusal leaves the state as it was unless
 * a limit changed or the clock stepped back, so a client that keeps hammering costs no writes and is not punished.
 * A message of a lower configuration version than the one that set a limit is decided under the recorded limit.
 */
export function take(state: ClientState, message: TakeMessage, now: number): Outcome<TakeReply> {
  const settled = endLeases(state, now);
  const decided = message.items.map((item) => decide(settled, item, message.configVersion, now));
  const allowed = decided.every(({ item, decision }) => decision.allowed || item.shadow);
  const changed: PolicyState[] = [];
  const items: TakeReplyItem[] = [];
  for (const one of decided) {
    const bucket = allowed ? one.decision.bucket : untaken(one);
    if ((allowed && isSpent(one)) || isChanged(one)) {
      changed.push({ policy: one.item.policy, configVersion: one.configVersion, limit: one.limit, bucket });
    }
    items.push({
      policy: one.item.policy,
      allowed: one.decision.allowed,
      remaining: bucket.tokens,
      retryAfterMs: one.decision.retryAfterMs,
    });
  }
  const after = changed.length === 0 ? state : recordPolicies(settled, changed, now);
  return { state: after, reply: { v: 1, allowed, items } };
}

/**
 * Gives back what a take deducted for a request that another owner then refused, once for each (isolate, seq).
 * Credits stop at the ceiling, and a policy without a record has nothing to credit.
 */
export function refund(state: ClientState, message: RefundMessage, now: number): Outcome<RefundReply> {
  const settled = endLeases(state, now);
  const credited: PolicyState[] = [];
  for (const { policy, cost } of message.items) {
    const known = settled.policies.find((one) => one.policy === policy);
    if (known === undefined) continue;
    credited.push({ ...known, bucket: giveBack(known.bucket, known.limit, cost, now) });
  }
  if (credited.length === 0) return { state, reply: { v: 1, refunded: false } };
  const refunds = countOnce(state.refunds, message.isolate, message.seq, now);
  if (refunds === undefined) return { state, reply: { v: 1, refunded: false } };
  return { state: { ...recordPolicies(settled, credited, now), refunds }, reply: { v: 1, refunded: true } };
}

/**
 * When the row may be dropped, in ms since the epoch: every bucket has then been full for a minute, so a client
 * without a row is decided alike. (A burst raised later finds a full bucket of the new size, as a new client would.)
 */
export function forgettableAt(state: ClientState): number {
  let at = state.lostAt === undefined ? -Infinity : state.lostAt + LOST_MEMORY_MS;
  for (const policy of state.policies) at = Math.max(at, policyForgettableAt(state, policy));
  return at;
}

/** Whether the row may be dropped now. */
export function isForgettable(state: ClientState, now: number): boolean {
  return forgettableAt(state) <= now;
}

/** A client's counters as they stand now. */
export function report(
  state: ClientState,
  client: string,
  lastDecision: ClientReport["lastDecision"],
  now: number,
): ClientReport {
  const { policies } = endLeases(state, now);
  return { v: 1, client, lastDecision, policies: policies.map((policy) => reportPolicy(policy, now)) };
}

/**
 * The limit and bucket of one policy, as a message of `configVersion` finds them: a limit that changed is in force, and
 * nothing is taken yet.
 */
export function openPolicy(
  state: ClientState,
  item: BucketLimit & { readonly policy: string },
  message: { readonly configVersion: number },
  now: number,
  rules: LeaseRules = LEASE_RULES,
): OpenPolicy {
  const { tokensPerWindow, windowMs, burst } = item;
  const known = state.policies.find((one) => one.policy === item.policy);
  if (known === undefined) {
    const limit = { tokensPerWindow, windowMs, burst };
    const fresh = state.lostAt === undefined ? fullBucket(limit, now) : emptyBucket(state.lostAt);
    return { known, configVersion: message.configVersion, limit, bucket: fresh };
  }
  const configVersion = Math.max(message.configVersion, known.configVersion);
  // Two versions of the Worker run side by side during a rollout; the older must not flip the limit back.
  const isOlder = !rules.mayChangeLimit(message.configVersion, known.configVersion);
  if (isOlder || isSameLimit(known.limit, item))
    return { known, configVersion, limit: known.limit, bucket: known.bucket };
  const limit = { tokensPerWindow, windowMs, burst };
  return { known, configVersion, limit, bucket: changeLimit(known.bucket, known.limit, limit, now) };
}

/** A state in which these policies are as given. Others that have nothing left to remember are dropped. */
export function recordPolicies(state: ClientState, changed: readonly PolicyState[], now: number): ClientState {
  const policies: PolicyState[] = [...changed];
  for (const policy of state.policies) {
    if (changed.some((one) => one.policy === policy.policy)) continue;
    // Policies that were renamed or removed would pile up in the row.
    if (policyForgettableAt(state, policy) > now) policies.push(policy);
  }
  return { ...state, policies };
}

function decide(state: ClientState, item: TakeItem, configVersion: number, now: number): Decided {
  const { bucket, ...policy } = openPolicy(state, item, { configVersion }, now);
  return { ...policy, item, decision: takeFrom(bucket, policy.limit, item.cost, now) };
}

/** The bucket of an item whose request is refused: what it would have given stays in it. */
function untaken({ item, decision }: Decided): Bucket {
  if (!decision.allowed) return decision.bucket;
  return { ...decision.bucket, tokens: decision.bucket.tokens + item.cost };
}

function isSpent({ item, decision }: Decided): boolean {
  return decision.allowed && item.cost > 0;
}

function isChanged({ known, configVersion, limit, decision }: Decided): boolean {
  if (known === undefined) return false;
  // A step back of the clock must be recorded, or the client would wait until the clock caught up.
  const isRewound = decision.bucket.last < known.bucket.last;
  return isRewound || limit !== known.limit || configVersion !== known.configVersion;
}

function policyForgettableAt({ leases }: ClientState, { policy, bucket, limit }: PolicyState): number {
  if (bucket.outstanding === 0) return fullAt(bucket, limit) + QUIET_MS;
  let endsAt = -Infinity;
  for (const lease of leases?.live ?? []) if (lease.policy === policy) endsAt = Math.max(endsAt, lease.expiresAt);
  if (endsAt === -Infinity) return Infinity;
  return Math.max(endsAt, bucket.last) + fullAt(emptyBucket(0), limit) + QUIET_MS;
}

function isSameLimit(limit: BucketLimit, item: BucketLimit): boolean {
  return (
    limit.tokensPerWindow === item.tokensPerWindow && limit.windowMs === item.windowMs && limit.burst === item.burst
  );
}

function reportPolicy({ policy, configVersion, limit, bucket }: PolicyState, now: number): PolicyReport {
  const { tokens, outstanding } = advance(bucket, limit, now);
  return {
    policy,
    configVersion,
    ...limit,
    remaining: tokens,
    outstanding,
    fullInMs: Math.max(0, fullAt(bucket, limit) - now),
    lastChangeAt: bucket.last,
  };
}
