import { clockOf, releaseMs, remaining, take, type Allowance } from "../algorithms/allowance.ts";
import { lend } from "../algorithms/allowance-leases.ts";
import type { ClientState, LiveLease, PolicyState } from "../client-state.ts";
import { activeIsolates, demandFor, heardFrom, otherPeers, type Peer } from "./demand.ts";
import { decide, fitsLimit, isAllowed, openAccount, type Account, type Work } from "./lease-accounts.ts";
import { clockFor, grant, lifeOf, termsFor } from "./lease-grant.ts";
import type { LeaseMessage, LeaseReply, LeaseReplyItem } from "./lease-messages.ts";
import { LEASE_RULES, MAX_LEASES, MIN_TTL_MS, type LeaseRules } from "./lease-rules.ts";
import { recordPolicies } from "../ledger.ts";
import { endLeases, leaseEnds, nextLeaseId, withReserved } from "./live-leases.ts";
import { ceilingOf, waitFor } from "../algorithms/token-bucket.ts";
import { noteTurnedAway, type TurnedAway } from "./turned-away.ts";

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

/** What has come of all accounts: lent, where anything is. */
interface Closing {
  readonly state: ClientState;
  readonly allowances: readonly Allowance[];
  /** The lease that was granted; null: none. */
  readonly id: number | null;
}

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
  const demands = message.items.map(({ policy }) => demandFor([...others, heard], policy, now));
  const opened = message.items.map((item) => openAccount(settled, item, work));
  const ttlMs = lifeOf(opened, demands, work);
  const mayGrant = (settled.leases?.live.length ?? 0) < MAX_LEASES && opened.every(fitsLimit);
  const decided = decide(opened, work, mayGrant && ttlMs > 0);
  const terms = termsFor(decided, demands, ttlMs, work);
  const accounts = mayGrant ? grant(decided, demands, ttlMs, message) : decided;
  // What a shard has lent is bound to its lease, which must go on though no token is added.
  const isExtended = mayGrant && ttlMs > 0 && message.shard !== undefined;
  const isGranted = accounts.some(({ granted, kept }) => granted > 0 || (isExtended && kept > 0));
  const closing = close(state, settled, { accounts, ttlMs, isGranted }, work);
  const reply: LeaseReply = {
    v: 1,
    allowed: isAllowed(accounts),
    leaseId: closing.id ?? keptId(accounts, message),
    ttlMs: Math.max(0, ttlMs),
    ...terms,
    items: accounts.map((account, index) => {
      return replyItem(account, closing.allowances[index] ?? account.allowance, closing.state, now);
    }),
    isolates: activeIsolates([...others, heard], now),
  };
  const peers = [...others, { ...heard, seq: message.seq, reply }];
  return { state: closing.state, memory: { peers, turnedAway: work.turnedAway }, reply };
}

/** Lends what is granted, and records every account as it now is, with the lease that takes the reported one's place. */
function close(
  state: ClientState,
  settled: ClientState,
  { accounts, ttlMs, isGranted }: { readonly accounts: readonly Account[]; ttlMs: number; isGranted: boolean },
  { message, now, rules }: Work,
): Closing {
  const isTaken = isAllowed(accounts) && message.hold !== true;
  const clock = clockFor(accounts, now);
  const id = nextLeaseId(settled, clock);
  // Not before the reported lease would have ended: until the reply is there, or for good if it is lost, the isolate goes
  // on by that. All parts end together.
  const reported = accounts.map(({ lease: lent, kept }) => (kept > 0 && lent !== undefined ? lent.expiresAt : 0));
  const until = Math.max(clock + ttlMs + rules.guardMs, ...reported);
  const allowances: Allowance[] = [];
  const policies: PolicyState[] = [];
  const replaced: (LiveLease | undefined)[] = [];
  const added: LiveLease[] = [];
  for (const account of accounts) {
    const { item, configVersion, lease: lent, kept, granted } = account;
    const tokens = kept + granted;
    const loan = isGranted && tokens > 0 ? lend(account.allowance, { lent, kept, granted, until }, rules) : undefined;
    const allowance = loan?.allowance ?? account.allowance;
    allowances.push(allowance);
    if (loan === undefined && !isChanged(account, isTaken)) continue;
    policies.push({ ...allowance, policy: item.policy, configVersion });
    replaced.push(lent);
    if (loan !== undefined) added.push({ id, policy: item.policy, tokens, expiresAt: until, ...countedBy(loan) });
    if (loan === undefined && lent !== undefined && tokens > 0) added.push({ ...lent, tokens });
  }
  if (policies.length === 0) return { state, allowances, id: null };
  const next = recordPolicies(settled, policies, now);
  if (next.leases === undefined && !isGranted) return { state: next, allowances, id: null };
  const { lastId, live, reserved } = next.leases ?? { lastId: id, live: [] };
  const going = live.filter((one) => !replaced.includes(one));
  const leases = withReserved({ lastId: isGranted ? id : lastId, live: [...going, ...added] }, reserved);
  return { state: { ...next, leases }, allowances, id: isGranted ? id : null };
}

function countedBy({ countedAt }: { readonly countedAt?: number }): Pick<LiveLease, "countedAt"> {
  return countedAt === undefined ? {} : { countedAt };
}

function isChanged(account: Account, isTaken: boolean): boolean {
  const { known, item, lease: lent, kept, allowance, allowed, configVersion } = account;
  if (isTaken && allowed && item.cost > 0) return true;
  if (account.isReturned || (lent !== undefined && kept !== lent.tokens)) return true;
  if (known === undefined) return false;
  return (
    allowance.limit !== known.limit || configVersion !== known.configVersion || clockOf(allowance) < clockOf(known)
  );
}

function keptId(accounts: readonly Account[], message: LeaseMessage): number | null {
  return accounts.some(({ kept }) => kept > 0) ? message.leaseId : null;
}

function replyItem(account: Account, allowance: Allowance, state: ClientState, now: number): LeaseReplyItem {
  const { item, kept, granted, allowed } = account;
  const { retryAfterMs, ...snapshot } = snapshotOf(allowance, item, state, now);
  return {
    policy: item.policy,
    allowed,
    remaining: remaining(allowance),
    // The tokens are there but can't be lent: a held request is to ask again.
    retryAfterMs: allowed ? 0 : retryAfterMs === 0 ? MIN_TTL_MS : retryAfterMs,
    kept,
    granted,
    ...snapshot,
  };
}

function snapshotOf(
  allowance: Allowance,
  { policy, cost }: { readonly policy: string; readonly cost: number },
  state: ClientState,
  now: number,
): Pick<LeaseReplyItem, "retryAfterMs" | "rem" | "room" | "roomMs"> {
  if (allowance.algorithm !== "token-bucket") {
    const { retryAfterMs } = take(allowance, cost, now);
    return { retryAfterMs, rem: 0, room: remaining(allowance), roomMs: releaseMs(allowance, now) };
  }
  const { bucket, limit } = allowance;
  const room = ceilingOf(limit, bucket.outstanding);
  const ends = leaseEnds(state, policy);
  const roomMs = ends.length === 0 ? null : Math.max(0, Math.min(...ends) - bucket.last);
  const waitMs = Math.max(0, waitFor(cost, bucket, limit), cost > room ? (roomMs ?? 0) : 0);
  const rem = bucket.tokens < 0 ? 0 : bucket.rem;
  return { retryAfterMs: cost > limit.burst ? null : waitMs, rem, room, roomMs };
}
