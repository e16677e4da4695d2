import { advance, keepsCounts, take, type Allowance } from "../algorithms/allowance.ts";
import { exceedsLimit, isKeepable, reclaim } from "../algorithms/allowance-leases.ts";
import type { ClientState, LiveLease } from "../client-state.ts";
import type { LeaseItem, LeaseMessage } from "./lease-messages.ts";
import type { LeaseRules } from "./lease-rules.ts";
import { openPolicy, type OpenPolicy } from "../ledger.ts";
import { findLease } from "./live-leases.ts";
import { readSpent } from "./spend-histogram.ts";
import { addUnits, giveBack, unitsMissing } from "../algorithms/token-bucket.ts";
import { creditSpent, noteTurnedAway, type Spent, type TurnedAway } from "./turned-away.ts";

/** One item while its message is worked on. */
export interface Account extends OpenPolicy {
  readonly item: LeaseItem;
  /** The policy's part of the lease that the message speaks of, while that is live. */
  readonly lease: LiveLease | undefined;
  /** What the isolate held of it was let go, and is credited. */
  readonly isReturned: boolean;
  /** What the isolate goes on holding of it. */
  readonly kept: number;
  readonly allowed: boolean;
  /** Tokens for the next lease; those that a request holds are among them. Not yet lent. */
  readonly granted: number;
}

/** What every step needs of the message that is worked on. */
export interface Work {
  readonly message: LeaseMessage;
  readonly now: number;
  readonly rules: LeaseRules;
  readonly turnedAway: Map<string, readonly TurnedAway[]>;
}

/** The item's allowance as it is now, with what the message reports of the item's lease taken in. */
export function openAccount(state: ClientState, item: LeaseItem, work: Work): Account {
  const { message, now, rules, turnedAway } = work;
  const opened = openPolicy(state, item, message, now, rules);
  const { known } = opened;
  const isSameLimit = known !== undefined && opened.allowance.limit === known.limit;
  if (isSameLimit && known.algorithm === "token-bucket") {
    turnedAway.set(item.policy, noteTurnedAway(turnedAway.get(item.policy) ?? [], known.bucket, known.limit, now));
  }
  // Refill that was turned away under another limit says nothing about this one.
  if (known !== undefined && !isSameLimit) turnedAway.delete(item.policy);
  const allowance = advance(opened.allowance, now);
  const found = message.leaseId === null ? undefined : findLease(state, item.policy, message.leaseId);
  const isReturned = message.leaseId !== null && !message.keep && rules.creditsReturn(found !== undefined);
  const account = { ...opened, item, lease: found, isReturned, kept: 0, allowance, allowed: false, granted: 0 };
  if (found !== undefined) return takeReport(account, found, work);
  if (!isReturned || allowance.algorithm !== "token-bucket") return account;
  return withAllowance(account, {
    ...allowance,
    bucket: giveBack(allowance.bucket, allowance.limit, item.held, now),
  });
}

/** Takes every item's cost, or none when one that is not a shadow lacks it; what is to be held is granted instead. */
export function decide(accounts: readonly Account[], { message, now }: Work, canLend: boolean): readonly Account[] {
  const holds = message.hold === true;
  const decisions = accounts.map(({ item, allowance }) => take(allowance, item.cost, now));
  const judged = accounts.map((account, index) => {
    const allowed = decisions[index]?.allowed === true && (canLend || !holds || account.item.cost === 0);
    return { ...account, allowed };
  });
  if (!isAllowed(judged)) return judged;
  return judged.map((account, index) => {
    if (!account.allowed) return account;
    if (holds) return withGrant(account, account.item.cost);
    return withAllowance(account, decisions[index]?.allowance ?? account.allowance);
  });
}

/** A lease that began under a limit which was cut since is not prolonged: a lowered limit holds when it has ended. */
export function fitsLimit({ kept, allowance }: Account): boolean {
  return kept === 0 || !exceedsLimit(allowance);
}

/** Whether the request that waits may pass. */
export function isAllowed(accounts: readonly Account[]): boolean {
  return accounts.every(({ item, allowed }) => allowed || item.shadow);
}

function takeReport(account: Account, found: LiveLease, work: Work): Account {
  const { message, now, rules, turnedAway } = work;
  const { item, allowance, known } = account;
  // What was lent under an algorithm or a window that is no more can't be had back, and must not be spent for long.
  if (known !== undefined && !keepsCounts(known, allowance)) return account;
  const held = Math.min(item.held, found.tokens);
  const kept = message.keep && isKeepable(allowance, found) ? held : 0;
  const spent = atMost(readSpent(item.spent, message, rules.creditShiftMs, now), found.tokens - held);
  const after = reclaim(allowance, found, { held, kept, isReturned: account.isReturned, spent }, rules);
  if (after.algorithm !== "token-bucket") return { ...account, kept, allowance: after };
  const { limit, bucket } = after;
  const stretches = turnedAway.get(item.policy) ?? [];
  const { units, left } = creditSpent(stretches, spent, limit, unitsMissing(bucket, limit));
  turnedAway.set(item.policy, left);
  return { ...account, kept, allowance: units === 0 ? after : { ...after, bucket: addUnits(bucket, limit, units) } };
}

function withGrant(account: Account, granted: number): Account {
  return { ...account, granted };
}

function withAllowance(account: Account, allowance: Allowance): Account {
  return { ...account, allowance };
}

function atMost(spent: readonly Spent[], tokens: number): readonly Spent[] {
  let left = tokens;
  return spent.map((one) => {
    const counted = Math.min(one.tokens, left);
    left -= counted;
    return { at: one.at, tokens: counted };
  });
}
