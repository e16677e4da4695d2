import type { ClientState, LiveLease, PolicyState } from "./client-state.ts";
import {
  closeIdleAfter,
  demandFor,
  heardFrom,
  holdFor,
  otherPeers,
  sizeLease,
  timeToLive,
  type Demand,
  type Peer,
} from "./demand.ts";
import type { LeaseItem, LeaseMessage, LeaseReply, LeaseReplyItem } from "./lease-messages.ts";
import { LEASE_RULES, MAX_LEASES, type LeaseRules } from "./lease-rules.ts";
import { openPolicy, recordPolicies, type OpenPolicy } from "./ledger.ts";
import { endLeases, findLease, firstEnd, nextLeaseId } from "./live-leases.ts";
import { readSpent } from "./spend-histogram.ts";
import { addUnits, advance, ceilingOf, giveBack, take, unitsMissing, waitFor, type Bucket } from "./token-bucket.ts";
import { creditSpent, noteTurnedAway, type Spent, type TurnedAway } from "./turned-away.ts";

/**
 * What helps an owner to lease well and may be lost at any time: demand, its last replies, refill that was turned away.
 * The next value is to replace it only when the state that belongs to it is stored.
 */
export interface LeaseMemory {
  readonly peers: readonly Peer[];
  readonly turnedAway: ReadonlyMap<string, readonly TurnedAway[]>;
}

/** What an owner that has just started remembers. */
export const NO_MEMORY: LeaseMemory = { peers: [], turnedAway: new Map() };

/** A reply and what to store before it leaves: `state` is the one that was passed in when there is nothing to store. */
export interface LeaseOutcome {
  readonly state: ClientState;
  readonly memory: LeaseMemory;
  readonly reply: LeaseReply;
}

/** One item while its message is worked on. */
interface Account extends OpenPolicy {
  readonly item: LeaseItem;
  /** The policy's part of the lease that the message speaks of, while that is live. */
  readonly lease: LiveLease | undefined;
  /** What the isolate held of it was let go, and is credited. */
  readonly isReturned: boolean;
  /** What the isolate goes on holding of it. */
  readonly kept: number;
  readonly bucket: Bucket;
  readonly allowed: boolean;
  readonly granted: number;
}

/** What every step needs of the message that is worked on. */
interface Work {
  readonly message: LeaseMessage;
  readonly now: number;
  readonly rules: LeaseRules;
  readonly turnedAway: Map<string, readonly TurnedAway[]>;
}

type Terms = Pick<LeaseReply, "ttlMs" | "holdMs" | "closeIdleMs">;

/**
 * Answers an isolate that asks for, renews or returns a lease: takes in what it reports, decides about the request that
 * waits (all items or none), and grants what the isolate is about to need.
 *
 * The same message again within 10 s gets the same reply and changes nothing. A lease that is not live credits nothing.
 */
export function lease(
  state: ClientState,
  memory: LeaseMemory,
  message: LeaseMessage,
  now: number,
  rules: LeaseRules = LEASE_RULES,
): LeaseOutcome {
  const known = memory.peers.find(({ isolate }) => isolate === message.isolate);
  if (known !== undefined && known.seq === message.seq && now - known.at < rules.rememberMs) {
    return { state, memory, reply: known.reply };
  }
  const work: Work = { message, now, rules, turnedAway: new Map(memory.turnedAway) };
  const settled = endLeases(state, now, rules, (policy, bucket, limit, to) => {
    work.turnedAway.set(policy, noteTurnedAway(work.turnedAway.get(policy) ?? [], bucket, limit, to));
  });
  const others = otherPeers(memory.peers, message.isolate, now);
  const heard = heardFrom(message, now);
  const decided = decide(
    message.items.map((item) => open(settled, item, work)),
    now,
  );
  const demands = message.items.map(({ policy }) => demandFor([...others, heard], policy, now));
  const terms = termsFor(decided, demands, work);
  const liveCount = settled.leases?.live.length ?? 0;
  const mayGrant = liveCount < MAX_LEASES && decided.every(fitsBurst);
  const accounts = mayGrant ? grant(decided, demands, terms.ttlMs, message) : decided;
  // What a shard has lent is bound to its lease, which must go on though no token is added.
  const isExtended = mayGrant && message.shard !== undefined;
  const isGranted = accounts.some(({ granted, kept }) => granted > 0 || (isExtended && kept > 0));
  const next = store(state, settled, accounts, { work, ttlMs: terms.ttlMs, isGranted });
  const reply: LeaseReply = {
    v: 1,
    allowed: isAllowed(accounts),
    leaseId: isGranted ? (next.leases?.lastId ?? null) : keptId(accounts, message),
    ...terms,
    items: accounts.map((account) => replyItem(account, next.leases?.live ?? [])),
  };
  const peers = [...others, { ...heard, seq: message.seq, reply }];
  return { state: next, memory: { peers, turnedAway: work.turnedAway }, reply };
}

/** The item's bucket as it is now, with what the message reports of the item's lease taken in. */
function open(state: ClientState, item: LeaseItem, work: Work): Account {
  const { message, now, rules, turnedAway } = work;
  const opened = openPolicy(state, item, message, now, rules);
  const { known, limit } = opened;
  if (known !== undefined && limit === known.limit) {
    turnedAway.set(item.policy, noteTurnedAway(turnedAway.get(item.policy) ?? [], known.bucket, limit, now));
  }
  // Refill that was turned away under another limit says nothing about this one.
  if (known !== undefined && limit !== known.limit) turnedAway.delete(item.policy);
  const bucket = advance(opened.bucket, limit, now);
  const found = message.leaseId === null ? undefined : findLease(state, item.policy, message.leaseId);
  const isReturned = message.leaseId !== null && !message.keep && rules.creditsReturn(found !== undefined);
  const account = { ...opened, item, lease: found, isReturned, kept: 0, bucket, allowed: false, granted: 0 };
  if (found !== undefined) return takeReport(account, found, work);
  return isReturned ? { ...account, bucket: giveBack(bucket, limit, item.held, now) } : account;
}

function takeReport(account: Account, found: LiveLease, work: Work): Account {
  const { message, now, rules, turnedAway } = work;
  const { item, limit, bucket } = account;
  const held = Math.min(item.held, found.tokens);
  const kept = message.keep ? held : 0;
  const outstanding = bucket.outstanding - rules.outstandingOf(found.tokens) + rules.outstandingOf(kept);
  // Below a burst that was cut, other leases may fill the bucket alone: then nothing of this one fits.
  const most = ceilingOf(limit, outstanding);
  const returned = { ...bucket, outstanding, tokens: Math.min(most, bucket.tokens + (account.isReturned ? held : 0)) };
  const spent = atMost(readSpent(item.spent, message, rules.creditShiftMs, now), found.tokens - held);
  const stretches = turnedAway.get(item.policy) ?? [];
  const { units, left } = creditSpent(stretches, spent, limit, unitsMissing(returned, limit));
  turnedAway.set(item.policy, left);
  return { ...account, kept, bucket: units === 0 ? returned : addUnits(returned, limit, units) };
}

/** A lease that began under a burst which was cut since is not prolonged: a lowered limit holds when it has ended. */
function fitsBurst({ kept, bucket, limit }: Account): boolean {
  return kept === 0 || bucket.outstanding <= limit.burst;
}

/** Takes every item's cost, or none when one that is not a shadow lacks it. */
function decide(accounts: readonly Account[], now: number): readonly Account[] {
  const decisions = accounts.map(({ item, limit, bucket }) => take(bucket, limit, item.cost, now));
  const judged = accounts.map((account, index) => ({ ...account, allowed: decisions[index]?.allowed === true }));
  if (!isAllowed(judged)) return judged;
  return judged.map((account, index) => withBucket(account, decisions[index]?.bucket ?? account.bucket));
}

function withBucket(account: Account, bucket: Bucket): Account {
  return { ...account, bucket };
}

function isAllowed(accounts: readonly Account[]): boolean {
  return accounts.every(({ item, allowed }) => allowed || item.shadow);
}

/** One time to live for all policies, since they are spent together: the shortest. The longest pause. */
function termsFor(accounts: readonly Account[], demands: readonly Demand[], { message, rules }: Work): Terms {
  let ttlMs = Infinity;
  let holdMs = 0;
  let closeIdleMs: number | null = null;
  for (const [index, { limit }] of accounts.entries())
    ttlMs = Math.min(ttlMs, timeToLive(limit, demandAt(demands, index), message.shard !== undefined));
  for (const [index, { item, limit, bucket }] of accounts.entries()) {
    const demand = demandAt(demands, index);
    const idleMs = closeIdleAfter(limit, demand, ttlMs);
    if (idleMs !== null) closeIdleMs = Math.min(closeIdleMs ?? Infinity, idleMs);
    if (item.shadow) continue;
    holdMs = Math.max(holdMs, holdFor(limit, bucket.tokens, demand, { ttlMs, seq: message.seq }, rules));
  }
  return { ttlMs: ttlMs === Infinity ? 0 : ttlMs, holdMs, closeIdleMs };
}

/**
 * Grants what the isolate will use soon, cut for all policies alike to what the scarcest of them can give: more of one
 * could not be spent without the other. A shadow takes its part and limits nobody.
 */
function grant(
  accounts: readonly Account[],
  demands: readonly Demand[],
  ttlMs: number,
  message: LeaseMessage,
): readonly Account[] {
  let share = 1;
  const sizings = accounts.map(({ item, limit, bucket, kept }, index) => {
    const asker = { rate: item.rate, cost: item.cost, want: message.want, isShard: message.shard !== undefined };
    const { ideal, supply } = sizeLease(
      { limit, demand: demandAt(demands, index), tokens: bucket.tokens },
      asker,
      ttlMs,
    );
    if (!item.shadow) share = Math.min(share, ideal === 0 ? 0 : (kept + supply) / ideal);
    return { ideal, supply };
  });
  const granted = accounts.map(({ kept }, index) => {
    const { ideal, supply } = sizings[index] ?? { ideal: 0, supply: 0 };
    return Math.max(0, Math.min(supply, Math.floor(ideal * share) - kept));
  });
  const isUseless = accounts.some(({ item, kept }, index) => !item.shadow && kept + (granted[index] ?? 0) === 0);
  if (isUseless) return accounts;
  return accounts.map((account, index) => {
    const tokens = granted[index] ?? 0;
    return { ...account, granted: tokens, bucket: { ...account.bucket, tokens: account.bucket.tokens - tokens } };
  });
}

/** The state with every account as it now is, and the lease that takes the place of the reported one. */
function store(
  state: ClientState,
  settled: ClientState,
  accounts: readonly Account[],
  { work, ttlMs, isGranted }: { readonly work: Work; readonly ttlMs: number; readonly isGranted: boolean },
): ClientState {
  const { message, now, rules } = work;
  const changed = accounts.filter((account) => isChanged(account, isAllowed(accounts), message, isGranted));
  if (changed.length === 0) return state;
  // A bucket that stands still after a small step back of the clock grants by its own, later time.
  const clock = Math.max(now, ...accounts.map(({ bucket }) => bucket.last));
  const id = nextLeaseId(settled, clock);
  const live = (settled.leases?.live ?? []).filter((one) => !changed.some(({ lease: found }) => found === one));
  for (const { item, lease: found, kept, granted } of changed) {
    const tokens = kept + granted;
    if (tokens === 0) continue;
    if (isGranted) live.push({ id, policy: item.policy, tokens, expiresAt: clock + ttlMs + rules.guardMs });
    if (!isGranted && found !== undefined) live.push({ ...found, tokens });
  }
  const policies = changed.map(({ item, configVersion, limit, bucket, granted }): PolicyState => {
    const outstanding = bucket.outstanding + rules.outstandingOf(granted);
    return { policy: item.policy, configVersion, limit, bucket: atCeiling({ ...bucket, outstanding }, limit.burst) };
  });
  const next = recordPolicies(settled, policies, now);
  if (isGranted) return { ...next, leases: { lastId: id, live } };
  return next.leases === undefined ? next : { ...next, leases: { ...next.leases, live } };
}

function isChanged(account: Account, isTaken: boolean, message: LeaseMessage, isGranted: boolean): boolean {
  const { known, item, lease: found, kept, bucket, allowed, configVersion, limit } = account;
  if (isGranted && (account.granted > 0 || kept > 0)) return true;
  if (isTaken && allowed && item.cost > 0) return true;
  if (account.isReturned || (found !== undefined && kept !== found.tokens)) return true;
  if (known === undefined) return false;
  return limit !== known.limit || configVersion !== known.configVersion || bucket.last < known.bucket.last;
}

/** A fraction kept at the ceiling would let the bucket rise above it. */
function atCeiling(bucket: Bucket, burst: number): Bucket {
  return bucket.tokens >= burst - bucket.outstanding && bucket.rem > 0 ? { ...bucket, rem: 0 } : bucket;
}

function keptId(accounts: readonly Account[], message: LeaseMessage): number | null {
  return accounts.some(({ kept }) => kept > 0) ? message.leaseId : null;
}

function replyItem(account: Account, live: readonly LiveLease[]): LeaseReplyItem {
  const { item, limit, bucket, kept, granted, allowed } = account;
  const room = ceilingOf(limit, bucket.outstanding + granted);
  const end = firstEnd(live, item.policy);
  const roomMs = end === undefined ? null : Math.max(0, end - bucket.last);
  const waitMs = Math.max(waitFor(item.cost, bucket, limit), item.cost > room ? (roomMs ?? 0) : 0);
  const retryAfterMs = allowed ? 0 : waitMs;
  return {
    policy: item.policy,
    allowed,
    remaining: bucket.tokens,
    retryAfterMs: item.cost > limit.burst ? null : retryAfterMs,
    kept,
    granted,
    rem: bucket.rem,
    room,
    roomMs,
  };
}

function atMost(spent: readonly Spent[], tokens: number): readonly Spent[] {
  let left = tokens;
  return spent.map((one) => {
    const counted = Math.min(one.tokens, left);
    left -= counted;
    return { at: one.at, tokens: counted };
  });
}

function demandAt(demands: readonly Demand[], index: number): Demand {
  return demands[index] ?? { rate: 0, isolates: 0 };
}
