import * as v from "valibot";
import type { Timeouts } from "../config-types.ts";
import { closedObject } from "../document/closed-object.ts";
import { duration } from "../values/duration.ts";

/** What holds where neither the route, nor its backend, nor the top level says otherwise. */
export const DEFAULT_TIMEOUTS: Timeouts = { headers: 10_000, total: 30_000, idle: 60_000, requestBody: 30_000 };

// A timer of the runtime counts milliseconds in 31 bits; a day is far below that and above any honest deadline.
const deadline = duration("ms", { max: 86_400_000 });

/** Deadlines of an exchange. Each field is looked for on the route, then its backend, then the top level. */
export const TimeoutsSchema = closedObject({
  headers: v.optional(deadline),
  total: v.optional(deadline),
  idle: v.optional(deadline),
  requestBody: v.optional(deadline),
});

type TimeoutsInput = v.InferOutput<typeof TimeoutsSchema> | undefined;

/** The deadlines of a route. @param levels the nearest first. */
export function resolveTimeouts(levels: readonly TimeoutsInput[]): Timeouts {
  const first = (field: keyof Timeouts): number =>
    levels.map((level) => level?.[field]).find((ms) => ms !== undefined) ?? DEFAULT_TIMEOUTS[field];
  return { headers: first("headers"), total: first("total"), idle: first("idle"), requestBody: first("requestBody") };
}
