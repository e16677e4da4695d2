import type { Slot } from "./pace.ts";
import { QUOTA_RULES, type QuotaRules } from "./quota-rules.ts";

/** Slots that were granted and may come back unused. In memory only: what a restart has forgotten stays counted. */
export interface SlotsOut {
  add(id: number, slot: Slot, now: number): void;
  /** The slot, once; undefined: it came back already, too late, or never was. */
  claim(id: number): Slot | undefined;
}

/** Makes an empty table; a slot is dropped some seconds after its end. */
export function createSlotsOut(rules: QuotaRules = QUOTA_RULES): SlotsOut {
  const slots = new Map<number, Slot>();
  return {
    add(id, slot, now) {
      slots.set(id, slot);
      // In the order of their beginnings, so those at the front are over first, or nearly so.
      for (const [first, { until }] of slots) {
        if (until + rules.returnMs >= now) break;
        slots.delete(first);
      }
    },
    claim(id) {
      const slot = slots.get(id);
      slots.delete(id);
      return slot;
    },
  };
}
