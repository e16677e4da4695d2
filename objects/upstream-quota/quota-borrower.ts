import { NO_ARRIVALS, noteArrival, perMs, type Arrivals } from "./arrivals.ts";
import { inOrder, recount, requestsOf, unusedOf, type HeldSlot } from "./held-slots.ts";
import {
  MAX_LIST,
  MAX_SPARE,
  MAX_TOLERANCE_MS,
  MAX_WAIT_MS,
  type AcquireMessage,
  type AcquireReply,
  type UnusedSlot,
} from "./quota-messages.ts";
import type { QuotaPolicy } from "./quota-policy.ts";
import { QUOTA_RULES, type QuotaRules } from "./quota-rules.ts";
import { isLent } from "./slots-ahead.ts";

/** What an isolate knows of one quota. Times are its own. */
export interface Borrower {
  /** What the last questions took on their way there and back, in ms; at most eight. */
  readonly trips: readonly number[];
  /** Slots ahead, the earliest first; none of them empty. */
  readonly ahead: readonly HeldSlot[];
  /** When slots ahead may be asked for again: one question is enough until it is answered, or each would bring them. */
  readonly askAheadAt: number;
  /** Until then requests that find no slot wait for that answer instead of asking too. */
  readonly hopeUntil: number;
  readonly arrivals: Arrivals;
}

/** What a request is to do that wants to call the upstream. */
export type Step =
  /** Start by this slot; see `startOf`. */
  | { readonly kind: "start"; readonly slot: HeldSlot }
  | { readonly kind: "ask"; readonly ask: Ask }
  /** Slots are on their way: `lookAgain` then. */
  | { readonly kind: "look-again"; readonly inMs: number; readonly until: number }
  /** Its deadline is too near for any answer. */
  | { readonly kind: "refuse" };

/** What an isolate adds to a question. */
export type Ask = Pick<AcquireMessage, "waitMs" | "toleranceMs" | "spare" | "unused">;

const TRIPS = 8;
const UNKNOWN_TOLERANCE_MS = 250;
const MIN_TOLERANCE_MS = 100;
/** Questions after which an isolate has met the owner, and been granted nothing yet. */
const MET = 1;
/** A question is lost that is not answered by then. */
const LOST_MS = 1_000;
/** Who was lent nothing asks ahead again then. */
const POOR_MS = 20;
/** Whoever waits for another's question looks so often, and for so long besides what a question takes: a crowd had better be one. */
const LOOK_MS = 5;
const HOPE_MS = 100;
/** Slots ahead are asked for so long before they are used up, besides what a question takes. */
const LEAD_MS = 20;
/** A new owner meets its callers spread over this. */
const AGAIN_MS = 100;

/** Of a quota that this isolate has not asked for yet. */
export function newBorrower(): Borrower {
  return { trips: [], ahead: [], askAheadAt: -Infinity, hopeUntil: -Infinity, arrivals: NO_ARRIVALS };
}

/** When a request looks for a slot, until when it can wait, and for one of what quota. */
export interface Wish {
  readonly now: number;
  readonly deadlineAt: number;
  readonly policy: QuotaPolicy;
}

/** What a request is to do now. */
export interface Arrived {
  readonly borrower: Borrower;
  readonly step: Step;
  /** A question to put off the request's path, so that the next requests have slots too; `hearAhead` takes its answer. */
  readonly renewal: Ask | undefined;
}

/** A request wants to call the upstream. Slots ahead whose time is over go back with the next question. */
export function arrive(borrower: Borrower, wish: Wish, rules: QuotaRules = QUOTA_RULES): Arrived {
  return lookAgain(
    { ...borrower, arrivals: noteArrival(borrower.arrivals, wish.now) },
    wish,
    borrower.hopeUntil,
    rules,
  );
}

/** The same request again, after a step that was to look again: until when that said, or others would go first for ever. */
export function lookAgain(borrower: Borrower, wish: Wish, until: number, rules: QuotaRules = QUOTA_RULES): Arrived {
  const { now, deadlineAt } = wish;
  const slot = borrower.ahead.find(({ latestAt }) => latestAt >= now);
  if (slot === undefined || slot.fromAt > deadlineAt) {
    if (now < Math.min(until, borrower.hopeUntil) && now + LOOK_MS <= deadlineAt) {
      return { borrower, step: { kind: "look-again", inMs: LOOK_MS, until }, renewal: undefined };
    }
    const { borrower: asked, spare, unused } = askAhead(borrower, wish, rules);
    return { borrower: asked, step: asking(borrower, { now, deadlineAt, spare, unused }), renewal: undefined };
  }
  const step = { kind: "start", slot } as const;
  const left = { ...borrower, ahead: recount(borrower.ahead, slot, -1) };
  if (!isRunningOut(left, now)) return { borrower: left, step, renewal: undefined };
  const { borrower: asked, spare, unused } = askAhead(left, wish, rules);
  if (spare === 0) return { borrower: left, step, renewal: undefined };
  // Its own slot is one of those, and now or not at all.
  const renewal = { waitMs: 0, toleranceMs: toleranceMs(left), spare: spare - 1, unused };
  return { borrower: asked, step, renewal };
}

/** A question is sent to the owner: with it goes what is over, and the wish for what this isolate expects to use beside what it has. */
function askAhead(
  borrower: Borrower,
  { now, policy }: Wish,
  rules: QuotaRules,
): { readonly borrower: Borrower; readonly spare: number; readonly unused: readonly UnusedSlot[] } {
  const ahead = borrower.ahead.filter(({ latestAt }) => latestAt >= now);
  const late = borrower.ahead.filter(({ latestAt }) => latestAt < now);
  const unused = unusedOf(late).slice(0, MAX_LIST);
  const expected = Math.floor(perMs(borrower.arrivals) * rules.aheadMs) - requestsOf(ahead);
  if (now < borrower.askAheadAt || expected < 1 || !isLent(policy, rules)) {
    return { borrower: { ...borrower, ahead }, spare: 0, unused };
  }
  // With a spacing the next request had better be in the owner's queue.
  const hopeUntil = policy.spacingMs > 0 ? -Infinity : now + HOPE_MS + leadMs(borrower);
  const asked = { ...borrower, ahead, askAheadAt: now + LOST_MS, hopeUntil };
  return { borrower: asked, spare: Math.min(MAX_SPARE, expected), unused };
}

/** Whether what is held would be used up, or over, before more could be here. */
function isRunningOut(borrower: Borrower, now: number): boolean {
  if (now < borrower.askAheadAt) return false;
  const soonMs = leadMs(borrower);
  const soon = perMs(borrower.arrivals) * soonMs;
  // So few that the next will hardly come meanwhile.
  if (soon < 1) return false;
  return requestsOf(borrower.ahead.filter(({ latestAt }) => latestAt >= now + soonMs)) < soon;
}

function leadMs({ trips }: Borrower): number {
  return LEAD_MS + Math.max(0, ...trips);
}

/** The same request again, whose slot came too late or whose owner was lost: with what is left of its time. */
export function arriveAgain(
  borrower: Borrower,
  times: { readonly now: number; readonly deadlineAt: number },
  unused: readonly UnusedSlot[],
): Step {
  return asking(borrower, { ...times, spare: 0, unused });
}

/** How long to wait before asking an owner again whose call has failed. @param random in [0, 1). */
export function againInMs(random: number): number {
  return Math.floor(random * AGAIN_MS);
}

/** Takes in what the owner has granted: the slot of the request that asked, and slots ahead. */
export function hearGrant(
  borrower: Borrower,
  { heldMs, slots, epoch, wantsSuccess }: Extract<AcquireReply, { kind: "granted" }>,
  { sentAt, receivedAt, spare }: GrantTimes,
  rules: QuotaRules = QUOTA_RULES,
): { readonly borrower: Borrower; readonly slot: HeldSlot | undefined } {
  // An answer that took less than no time: this clock has stepped back, and nobody knows what the time is for the owner.
  const isLost = receivedAt - sentAt < heldMs * (1 - rules.drift) - rules.guardMs;
  const [slot, ...ahead] = slots.map(({ id, inMs, forMs, count }, index): HeldSlot => {
    const guardMs = inMs === 0 ? 0 : inMs * rules.drift + rules.guardMs;
    const elapsedMs = heldMs + inMs + forMs;
    const latestAt = rules.countedFrom(sentAt, receivedAt - heldMs) + elapsedMs * (1 - rules.drift) - rules.guardMs;
    const fromAt = receivedAt + inMs + guardMs;
    return { id, count, isAhead: index > 0, fromAt, latestAt: isLost ? -Infinity : latestAt, epoch, wantsSuccess };
  });
  const { trips } = hearTrip(borrower, receivedAt - sentAt - heldMs);
  const held = inOrder([...borrower.ahead, ...ahead]);
  return { borrower: { ...answered(borrower, ahead.length, { receivedAt, spare }), trips, ahead: held }, slot };
}

/** When a question was sent and answered, and how many slots ahead it asked for. */
export interface GrantTimes extends Pick<Ask, "spare"> {
  readonly sentAt: number;
  readonly receivedAt: number;
}

/** Takes in what came of a renewal. */
export function hearAhead(
  borrower: Borrower,
  reply: AcquireReply,
  times: GrantTimes,
  rules: QuotaRules = QUOTA_RULES,
): Borrower {
  // It asked for one more: its own.
  const renewed = { ...times, spare: times.spare + 1 };
  if (reply.kind === "refused") return answered(borrower, 0, renewed);
  const { borrower: next, slot } = hearGrant(borrower, reply, renewed, rules);
  return slot === undefined ? next : { ...next, ahead: inOrder([{ ...slot, isAhead: true }, ...next.ahead]) };
}

function answered(
  borrower: Borrower,
  got: number,
  { receivedAt, spare }: Pick<GrantTimes, "receivedAt" | "spare">,
): Borrower {
  if (spare === 0) return borrower;
  return { ...borrower, askAheadAt: got > 0 ? -Infinity : receivedAt + POOR_MS, hopeUntil: -Infinity };
}

/** Takes in what a question took on its way there and back, in ms. */
export function hearTrip(borrower: Borrower, ms: number): Borrower {
  return { ...borrower, trips: [...borrower.trips, Math.max(0, ms)].slice(-TRIPS) };
}

/** What is to be told to the owner of slots. */
export interface GivenUp {
  readonly borrower: Borrower;
  readonly unused: readonly UnusedSlot[];
}

/** Gives up all slots ahead, because the upstream has asked for a pause. */
export function giveUpAhead(borrower: Borrower): GivenUp {
  return { borrower: { ...borrower, ahead: [] }, unused: unusedOf(borrower.ahead).slice(-MAX_LIST) };
}

/** A request has not started by its slot, nor ever will. One of slots ahead is for the next request of this isolate. */
export function giveBack(borrower: Borrower, slot: HeldSlot): GivenUp {
  if (!slot.isAhead) return { borrower, unused: unusedOf([slot]) };
  return { borrower: { ...borrower, ahead: recount(borrower.ahead, slot, 1) }, unused: [] };
}

/**
 * How long slots have to be for this isolate to hit them: three times what its questions take on their way, and the guards. Longer until
 * it has been granted one: what an isolate sends first was seen to leave it up to 100 ms late, behind all who came with it.
 */
export function toleranceMs({ trips }: Borrower): number {
  const leastMs = trips.length <= MET ? UNKNOWN_TOLERANCE_MS : MIN_TOLERANCE_MS;
  return Math.min(MAX_TOLERANCE_MS, Math.max(leastMs, Math.ceil(3 * Math.max(0, ...trips)) + 40));
}

function asking(
  borrower: Borrower,
  from: { now: number; deadlineAt: number; spare: number; unused: readonly UnusedSlot[] },
): Step {
  const leftMs = Math.floor(from.deadlineAt - from.now);
  if (leftMs < 0) return { kind: "refuse" };
  // A slot at the last moment of the wait would be heard of after the deadline. But one long trip must not keep requests from
  // asking, since only an answer can show that the way is short again.
  const wayMs = Math.min(Math.ceil(Math.max(0, ...borrower.trips)), Math.floor(leftMs / 4));
  const waitMs = Math.min(MAX_WAIT_MS, leftMs - wayMs);
  const { spare, unused } = from;
  return { kind: "ask", ask: { waitMs, toleranceMs: toleranceMs(borrower), spare, unused } };
}
