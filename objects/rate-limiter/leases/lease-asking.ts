import type { Borrower, Holding } from "./borrower.ts";
import type { LeaseItem, LeaseMessage } from "./lease-messages.ts";
import type { LeaseRules } from "./lease-rules.ts";
import { restart } from "./spend-histogram.ts";

/** After this a call counts as lost, and a late reply changes nothing any more. */
const CALL_MS = 1_000;
const LARGEST_WANT = 4_096;
const RATE_TAU_MS = 1_000;
/** Of how many requests the usual cost is the average, about. */
const USUAL_OF = 8;

/** What a message says beside what the borrower holds. */
interface Asked {
  /** Of the request that waits; empty: none does. */
  readonly costs: readonly number[];
  /** Grant the costs instead of spending them, because other owners have to agree. */
  readonly hold?: boolean;
  readonly keep: boolean;
  readonly want: number;
  /** Whether it speaks of the lease, and its reply may change it. */
  readonly lease: boolean;
}

/** Returns what is left, which is too little, and asks anew: the owner then decides over all there is. */
export function ask(
  borrower: Borrower,
  costs: readonly number[],
  now: number,
  rules: LeaseRules,
  hold = false,
): LeaseMessage {
  adaptWant(borrower, now);
  const sent = compose(borrower, now, rules, { costs, hold, keep: false, want: borrower.want, lease: true });
  letGo(borrower);
  expect(borrower, sent.seq, now);
  return sent;
}

/** Asks the owner about one request alone, without a lease and beside a call that is under way. */
export function askAlone(borrower: Borrower, costs: readonly number[], now: number, rules: LeaseRules): LeaseMessage {
  return compose(borrower, now, rules, { costs, keep: false, want: 0, lease: false });
}

/** Asks for more while what is left goes on being spent. */
export function renew(borrower: Borrower, now: number, rules: LeaseRules): LeaseMessage {
  adaptWant(borrower, now);
  const sent = compose(borrower, now, rules, { costs: [], keep: true, want: borrower.want, lease: true });
  expect(borrower, sent.seq, now);
  return sent;
}

/** Returns the lease. What was held is forgotten before the message is sent, so it can never be both returned and spent. */
export function handBack(borrower: Borrower, now: number, rules: LeaseRules): LeaseMessage {
  adaptWant(borrower, now);
  const sent = compose(borrower, now, rules, { costs: [], keep: false, want: 0, lease: true });
  letGo(borrower);
  return sent;
}

/** Whether a call is under way whose reply may change the lease. */
export function isAwaiting({ awaited, awaitedSince }: Borrower, now: number): boolean {
  return awaited !== 0 && now - awaitedSince >= 0 && now - awaitedSince < CALL_MS;
}

/** Exponentially weighted rate, the request that arrives apart from those before it. */
export function countDemand(borrower: Borrower, costs: readonly number[], now: number): void {
  const fade = fadeSince(borrower, now);
  for (let index = 0; index < borrower.holdings.length; index++) {
    const holding: Holding | undefined = borrower.holdings[index];
    if (holding === undefined) continue;
    const asked = costs[index] ?? 0;
    // What can never pass is no demand: a client that claims it would have all that share the limit paused.
    const cost = asked > holding.capacity ? 0 : asked;
    holding.rateBefore = holding.rate * fade;
    holding.rate = holding.rateBefore + (cost * 1_000) / RATE_TAU_MS;
    if (cost !== holding.usualCost) holding.usualCost = usualCost(holding.usualCost, cost, holding.rateBefore);
  }
  borrower.ratedAt = now;
}

/** After a pause the first request says more than those before it. */
function usualCost(before: number, cost: number, rateBefore: number): number {
  if (cost === 0) return before;
  return Math.max(1, rateBefore < before / 2 ? cost : before + (cost - before) / USUAL_OF);
}

function compose(borrower: Borrower, now: number, rules: LeaseRules, asked: Asked): LeaseMessage {
  const { client, configVersion, sender, holdings, ttlMs } = borrower;
  const { costs, hold = false, keep, want, lease } = asked;
  const speaksOf = lease ? borrower.leaseId : null;
  const first = holdings[0]?.spent;
  const spanMs = speaksOf === null || first === undefined ? 0 : Math.max(0, now - first.since);
  const binMs = first?.binMs ?? 1;
  const fade = fadeSince(borrower, now);
  const items = holdings.map((holding, index): LeaseItem => {
    const report = {
      cost: costs[index] ?? 0,
      held: speaksOf === null ? 0 : holding.tokens,
      spent: speaksOf === null ? [] : [...holding.spent.bins],
      rate: rules.reportedRate(holding.rateBefore, holding.rate) * fade,
      denied: holding.denied,
    };
    holding.denied = 0;
    if (lease) restart(holding.spent, ttlMs, now);
    return Object.assign(report, holding.limit, holding.usualCost > 1 && { usualCost: holding.usualCost });
  });
  sender.seq += 1;
  const { isolate, seq } = sender;
  const message = { v: 1, configVersion, client, isolate, seq, leaseId: speaksOf, keep, want, spanMs, binMs } as const;
  return hold ? { ...message, hold, items } : { ...message, items };
}

function fadeSince({ ratedAt }: Borrower, now: number): number {
  return Math.exp(Math.min(0, ratedAt - now) / RATE_TAU_MS);
}

function letGo(borrower: Borrower): void {
  for (const holding of borrower.holdings) holding.tokens = 0;
  borrower.leaseId = null;
}

function expect(borrower: Borrower, seq: number, now: number): void {
  borrower.awaited = seq;
  borrower.awaitedSince = now;
}

/** Slow start: twice as much after a lease that was used up, half after one of which more than half was not. */
function adaptWant(borrower: Borrower, now: number): void {
  if (borrower.leaseId === null || borrower.size === 0) return;
  const left = borrower.holdings[0]?.tokens ?? 0;
  if (left > borrower.size / 2) borrower.want = Math.max(2, Math.floor(borrower.want / 2));
  else if (now < borrower.expiresAt) borrower.want = Math.min(LARGEST_WANT, borrower.want * 2);
}
