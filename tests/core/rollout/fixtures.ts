import { DEFAULT_ABORT } from "../../../schemas/policies/canary.ts";
import { CELLS } from "../../../objects/rollout/variant-counts.ts";
import type { RolloutOrder, RolloutReport } from "../../../objects/rollout/rollout-messages.ts";

/** What a configuration says of the release of these tests. */
export const TERMS = {
  configVersion: 7,
  release: "r1",
  variants: ["control", "canary"],
  policy: DEFAULT_ABORT,
} as const;

/** Counts of a report: all of the control's in its first cell. */
export function seen(control: readonly number[], canary: readonly number[]): readonly (readonly number[])[] {
  return [control, ...Array.from({ length: CELLS - 1 }, () => [0, 0]), canary];
}

/** Counts of nobody. */
export const NOTHING = seen([0, 0], [0, 0]);

/** The first report of an isolate, but for what is said. */
export function report(changes: Partial<RolloutReport> = {}): RolloutReport {
  return { v: 1, ...TERMS, isolate: "a", seq: 1, epoch: 1, isolates: 0, counts: NOTHING, ...changes };
}

/** An operator's order. */
export function order(kind: RolloutOrder["kind"], variant?: string): RolloutOrder {
  return { v: 1, ...TERMS, kind, by: "ann", ...(variant === undefined ? {} : { variant }) };
}
