import {
  MAX_LIST,
  MAX_SPARE,
  MAX_TOLERANCE_MS,
  MAX_WAIT_MS,
  type AcquireMessage,
  type AcquireReply,
} from "./quota-messages.ts";
import { QUOTA_RULES, type QuotaRules } from "./quota-rules.ts";

/** What an isolate knows of one quota. Times are its own. */
export interface Borrower {
  /** What the last questions took on their way there and back, in ms; at most eight. */
  readonly trips: readonly number[];
  /** Slots ahead, the earliest first. */
  readonly ahead: readonly HeldSlot[];
  /** When slots ahead were last asked for, until some come: within a second one question is enough, or each would bring them. */
  readonly askedAheadAt: number | undefined;
  /** Requests of this second, and of the one before it. */
  readonly arrivals: { readonly second: number; readonly count: number; readonly before: number };
}

/** A slot that this isolate has, for one request. */
export interface HeldSlot {
  readonly id: number;
  /** The first moment at which it has surely begun. */
  readonly fromAt: number;
  /** The last moment at which it has surely not ended. */
  readonly latestAt: number;
  /** To be said with what the upstream answers. */
  readonly epoch: number;
  /** Whether a success is to be reported. */
  readonly wantsSuccess: boolean;
}

/** What a request is to do that wants to call the upstream. */
export type Step =
  /** Start by this slot; see `startOf`. */
  | { readonly kind: "start"; readonly slot: HeldSlot }
  | { readonly kind: "ask"; readonly ask: Ask }
  /** Its deadline is too near for any answer. */
  | { readonly kind: "refuse" };

/** What an isolate adds to a question. */
export type Ask = Pick<AcquireMessage, "waitMs" | "toleranceMs" | "spare" | "unused">;

const TRIPS = 8;
const UNKNOWN_TOLERANCE_MS = 250;
const MIN_TOLERANCE_MS = 100;
const SECOND_MS = 1_000;
/** A new owner meets its callers spread over this. */
const AGAIN_MS = 100;

/** Of a quota that this isolate has not asked for yet. */
export function newBorrower(): Borrower {
  return { trips: [], ahead: [], askedAheadAt: undefined, arrivals: { second: 0, count: 0, before: 0 } };
}

/** A request wants to call the upstream, and can wait until `deadlineAt`. Slots ahead whose time is over go back with the next question. */
export function arrive(
  borrower: Borrower,
  { now, deadlineAt }: { readonly now: number; readonly deadlineAt: number },
  rules: QuotaRules = QUOTA_RULES,
): { readonly borrower: Borrower; readonly step: Step } {
  const arrivals = counted(borrower.arrivals, now);
  const ahead = borrower.ahead.filter(({ latestAt }) => latestAt >= now);
  const [slot] = ahead;
  if (slot !== undefined && slot.fromAt <= deadlineAt) {
    const left = borrower.ahead.filter((one) => one !== slot);
    return { borrower: { ...borrower, arrivals, ahead: left }, step: { kind: "start", slot } };
  }
  const late = borrower.ahead.filter(({ latestAt }) => latestAt < now);
  const unused = late.map(({ id }) => id).slice(0, MAX_LIST);
  const { askedAheadAt = -Infinity } = borrower;
  const isAsking = now < askedAheadAt + SECOND_MS;
  const expected = Math.floor((arrivals.before * rules.aheadMs) / SECOND_MS) - ahead.length;
  const spare = isAsking ? 0 : Math.min(MAX_SPARE, Math.max(0, expected));
  const asked = { ...borrower, arrivals, ahead, askedAheadAt: spare > 0 ? now : borrower.askedAheadAt };
  return { borrower: asked, step: asking(borrower, { now, deadlineAt, spare, unused }) };
}

/** The same request again, whose slot came too late or whose owner was lost: with what is left of its time. */
export function arriveAgain(
  borrower: Borrower,
  times: { readonly now: number; readonly deadlineAt: number },
  unused: readonly number[],
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
  { sentAt, receivedAt }: { readonly sentAt: number; readonly receivedAt: number },
  rules: QuotaRules = QUOTA_RULES,
): { readonly borrower: Borrower; readonly slot: HeldSlot | undefined } {
  // An answer that took less than no time: this clock has stepped back, and nobody knows what the time is for the owner.
  const isLost = receivedAt - sentAt < heldMs * (1 - rules.drift) - rules.guardMs;
  const [slot, ...ahead] = slots.map(({ id, inMs, forMs }): HeldSlot => {
    const guardMs = inMs === 0 ? 0 : inMs * rules.drift + rules.guardMs;
    const elapsedMs = heldMs + inMs + forMs;
    const latestAt = rules.countedFrom(sentAt, receivedAt - heldMs) + elapsedMs * (1 - rules.drift) - rules.guardMs;
    const fromAt = receivedAt + inMs + guardMs;
    return { id, fromAt, latestAt: isLost ? -Infinity : latestAt, epoch, wantsSuccess };
  });
  const { trips } = hearTrip(borrower, receivedAt - sentAt - heldMs);
  const held = [...borrower.ahead, ...ahead].toSorted((one, other) => one.fromAt - other.fromAt);
  const askedAheadAt = ahead.length > 0 ? undefined : borrower.askedAheadAt;
  return { borrower: { ...borrower, trips, ahead: held, askedAheadAt }, slot };
}

/** Takes in what a question took on its way there and back, in ms. */
export function hearTrip(borrower: Borrower, ms: number): Borrower {
  return { ...borrower, trips: [...borrower.trips, Math.max(0, ms)].slice(-TRIPS) };
}

/** Whether a request may start by its slot now: so long to wait still, or its time is over and it is to be given back. */
export function startOf(
  { fromAt, latestAt }: HeldSlot,
  now: number,
  rules: QuotaRules = QUOTA_RULES,
): { readonly kind: "start" } | { readonly kind: "wait"; readonly ms: number } | { readonly kind: "late" } {
  if (!rules.mayStart(Math.max(now, fromAt), latestAt)) return { kind: "late" };
  return now >= fromAt ? { kind: "start" } : { kind: "wait", ms: Math.ceil(fromAt - now) };
}

/** Gives up all slots ahead, because the upstream has asked for a pause. */
export function giveUpAhead(borrower: Borrower): { readonly borrower: Borrower; readonly unused: readonly number[] } {
  return { borrower: { ...borrower, ahead: [] }, unused: borrower.ahead.map(({ id }) => id).slice(-MAX_LIST) };
}

/** How long slots have to be for this isolate to hit them: three times what its questions take on their way, and the guards. */
export function toleranceMs({ trips }: Borrower): number {
  if (trips.length === 0) return UNKNOWN_TOLERANCE_MS;
  return Math.min(MAX_TOLERANCE_MS, Math.max(MIN_TOLERANCE_MS, Math.ceil(3 * Math.max(...trips)) + 40));
}

function asking(
  borrower: Borrower,
  from: { now: number; deadlineAt: number; spare: number; unused: readonly number[] },
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

function counted({ second, count, before }: Borrower["arrivals"], now: number): Borrower["arrivals"] {
  const current = Math.floor(now / SECOND_MS);
  if (current === second) return { second, count: count + 1, before };
  return { second: current, count: 1, before: current === second + 1 ? count : 0 };
}
