import type { UnusedSlot } from "./quota-messages.ts";
import { QUOTA_RULES, type QuotaRules } from "./quota-rules.ts";

/** A slot that this isolate has. */
export interface HeldSlot {
  readonly id: number;
  /** So many requests may still take it. */
  readonly count: number;
  readonly isAhead: boolean;
  /** The first moment at which it has surely begun. */
  readonly fromAt: number;
  /** The last moment at which it has surely not ended. */
  readonly latestAt: number;
  /** To be said with what the upstream answers. */
  readonly epoch: number;
  /** Whether a success is to be reported. */
  readonly wantsSuccess: boolean;
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

/** Slots, the earliest first. */
export function inOrder(slots: readonly HeldSlot[]): readonly HeldSlot[] {
  return slots.toSorted((one, other) => one.fromAt - other.fromAt);
}

/** One request less may take a slot, or one more; one that none may take any more is not kept. */
export function recount(slots: readonly HeldSlot[], { id, ...slot }: HeldSlot, by: 1 | -1): readonly HeldSlot[] {
  const at = slots.findIndex((one) => one.id === id);
  const known = slots[at];
  if (known === undefined) return inOrder([{ ...slot, id, count: 1 }, ...slots]);
  if (known.count + by === 0) return slots.toSpliced(at, 1);
  return slots.with(at, { ...known, count: known.count + by });
}

/** How many requests may start by slots. */
export function requestsOf(slots: readonly HeldSlot[]): number {
  return slots.reduce((sum, { count }) => sum + count, 0);
}

/** Slots as their owner is told of them that they will not be used. */
export function unusedOf(slots: readonly HeldSlot[]): readonly UnusedSlot[] {
  return slots.map(({ id, count }) => ({ id, count }));
}
