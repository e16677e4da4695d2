import type { AcquireMessage, GrantedSlot, RefusalReason, SignalMessage, UnusedSlot } from "./quota-messages.ts";
import { leftOf, nextSlotAt, returnSlot, takeSlot } from "./pace.ts";
import { heard } from "./pause.ts";
import { QUOTA_RULES, type QuotaRules } from "./quota-rules.ts";
import { aheadOf } from "./slots-ahead.ts";
import type { QuotaState } from "./quota-state.ts";
import type { SlotsOut } from "./slots-out.ts";
import type { Waiter, WaitingRoom } from "./waiting-room.ts";

/** What has come of an event: what to store first, and then to whom to say what. */
export interface Served {
  readonly state: QuotaState;
  readonly grants: readonly Grant[];
  readonly refusals: readonly Refusal[];
  /** When `serve` is to be called again though nothing happens, in ms from now; null: nobody waits. */
  readonly wakeInMs: number | null;
}

/** A waiter's slot has come. */
export interface Grant {
  readonly waiter: Waiter;
  /** The waiter's own first. */
  readonly slots: readonly GrantedSlot[];
  readonly heldMs: number;
  readonly epoch: number;
  readonly wantsSuccess: boolean;
}

/** A waiter's slot won't come. */
export interface Refusal {
  readonly waiter: Waiter;
  readonly why: RefusalReason;
  readonly retryAfterMs: number;
}

/** What a request that asks is in the waiting room of an owner whose time is `now`. */
export function waiterOf(message: AcquireMessage, now: number): Waiter {
  const { isolate, seq, client, priority, waitMs, toleranceMs, spare } = message;
  return { isolate, seq, client, priority, arrivedAt: now, deadlineAt: now + waitMs, toleranceMs, spare };
}

/** What an owner has in memory alone: a restart loses who waits, and which slots may come back. */
export interface QuotaMemory {
  readonly room: WaitingRoom;
  readonly out: SlotsOut;
}

/**
 * Serves who can be served now, after any event: grants the slots that have come in the order of the queue, refuses those that no
 * slot reaches in time, and says when to look again. Changes `memory`; what it returns is to be stored, and only then told.
 *
 * @param before one of `stateAt`, so that its clock is that of the event.
 * @param newcomer who asks with this event.
 */
export function serve(
  before: QuotaState,
  { room, out }: QuotaMemory,
  newcomer: Waiter | undefined,
  rules: QuotaRules = QUOTA_RULES,
): Served {
  let state = before;
  let comes = newcomer;
  const { policy } = state;
  const now = state.clock.at;
  const grants: Grant[] = [];
  const refusals: Refusal[] = [];

  function refuse(waiter: Waiter, why: RefusalReason): void {
    refusals.push({ waiter, why, retryAfterMs: comeAgainMs(state, room.queue.size, rules) });
  }

  function admit(waiter: Waiter, at: number): void {
    if (waiter.deadlineAt < at) {
      refuse(waiter, "deadline");
      return;
    }
    // Who is served at once needs no room.
    const gone = room.enter(waiter, at <= now ? Math.max(1, policy.maxQueue) : policy.maxQueue);
    if (gone !== undefined) refuse(gone, "queue-full");
  }

  function take(from: number, toleranceMs: number, count = 1): GrantedSlot {
    const { pace, slot } = takeSlot(state.pace, policy, { from, toleranceMs, count }, rules);
    const id = state.lastSlot + 1;
    state = { ...state, pace, lastSlot: id };
    out.add(id, slot, now);
    return { id, inMs: from - now, forMs: toleranceMs, count };
  }

  function takeAhead(waiter: Waiter): GrantedSlot[] {
    const slots: GrantedSlot[] = [];
    // Each is one request's where there is a spacing, else one slot is enough.
    const most = policy.spacingMs === 0 ? 1 : waiter.spare;
    while (slots.length < most && room.queue.size === 0) {
      const { count, forMs } = aheadOf(leftOf(state.pace, policy, now), policy, waiter, rules);
      const from = nextAt(state, rules);
      if (count === 0 || from > now + rules.aheadMs) break;
      slots.push(take(from, forMs, count));
    }
    return slots;
  }

  for (;;) {
    const at = nextAt(state, rules);
    for (const waiter of room.expire(at)) refuse(waiter, "deadline");
    const waiter = at <= now ? room.queue.take() : undefined;
    if (waiter !== undefined) {
      const { epoch, throttles } = state.pause;
      const heldMs = now - waiter.arrivedAt;
      // The isolate leaves out so much at the end, since it counts from before the wait.
      const driftMs = Math.ceil(heldMs * rules.drift);
      const slots = [take(at, waiter.toleranceMs + driftMs), ...takeAhead(waiter)];
      grants.push({ waiter, slots, heldMs, epoch, wantsSuccess: throttles > 0 });
      continue;
    }
    if (comes === undefined) return { state, grants, refusals, wakeInMs: room.queue.size === 0 ? null : at - now };
    // A newcomer finds the room as it is when all have gone whose turn it was or whose time is over.
    admit(comes, at);
    comes = undefined;
  }
}

/** Takes back what was not started nor ever will be; slots that are not known to be out count for nothing. */
export function takeBack(state: QuotaState, out: SlotsOut, unused: readonly UnusedSlot[]): QuotaState {
  let { pace } = state;
  for (const { id, count } of unused) {
    const slot = out.claim(id);
    if (slot === undefined) continue;
    const back = { ...slot, count: Math.min(count, slot.count) };
    pace = returnSlot(pace, state.policy, back, state.clock.at);
  }
  return pace === state.pace ? state : { ...state, pace };
}

/** Takes in what the upstream has said. @param random in [0, 1). */
export function hearSignal(state: QuotaState, { signal, epoch }: SignalMessage, random: number): QuotaState {
  // An epoch of the future is of an owner whose row was lost: the answer is as good as of now.
  const said = { signal, epoch: Math.min(epoch, state.pause.epoch) };
  const pause = heard(state.pause, said, state.policy, { now: state.clock.at, random });
  return pause === state.pause ? state : { ...state, pause };
}

/** How long nothing will be granted, whoever waits. */
export function pausedMs({ pause, clock }: QuotaState): number {
  return Math.max(0, pause.until - clock.at);
}

/** When the next slot may be, at the earliest now. */
export function nextAt({ pace, policy, pause, clock }: QuotaState, rules: QuotaRules = QUOTA_RULES): number {
  return nextSlotAt(pace, policy, Math.max(clock.at, pause.until), rules);
}

/** About when a request that comes then would be next: once all that wait have had their turns. */
function comeAgainMs(state: QuotaState, waiting: number, rules: QuotaRules): number {
  const { policy, clock } = state;
  const everyMs = Math.max(policy.windowMs / policy.requests, policy.spacingMs);
  return Math.ceil(nextAt(state, rules) - clock.at + waiting * everyMs);
}
