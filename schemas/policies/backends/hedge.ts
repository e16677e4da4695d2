import * as v from "valibot";
import type { HedgePolicy } from "../../backend-types.ts";
import { closedObject } from "../../document/closed-object.ts";
import { decimal } from "../../values/decimal.ts";
import { duration } from "../../values/duration.ts";
import { flag } from "../../values/primitives.ts";
import { isOn, switchable } from "../policy.ts";

/** What `hedge: true` means. */
export const DEFAULT_HEDGE: HedgePolicy = { afterMs: "p95", budget: 0.05 };

const AFTER = '"p95", or a duration such as "200ms" or a number of milliseconds';

/** When a second request is sent because the first is slow. */
export const HedgeSchema = closedObject({
  enabled: v.optional(flag),
  after: v.optional(v.union([v.literal("p95", AFTER), duration("ms", { max: 60_000 })], AFTER)),
  budget: v.optional(decimal(0.001, 1)),
});

/** `hedge`: a switch or the details. */
export const HedgePolicySchema = switchable(HedgeSchema);

/** The policy with its defaults; undefined: nothing is sent twice on suspicion. */
export function resolveHedge(policy: v.InferOutput<typeof HedgePolicySchema> | undefined): HedgePolicy | undefined {
  const input: v.InferOutput<typeof HedgeSchema> | false | undefined = policy === true ? {} : policy;
  if (!isOn(input)) return undefined;
  return { afterMs: input.after ?? DEFAULT_HEDGE.afterMs, budget: input.budget ?? DEFAULT_HEDGE.budget };
}
