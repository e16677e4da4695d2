import * as v from "valibot";
import type { LimiterPolicy } from "../config-types.ts";
import { closedObject } from "../document/closed-object.ts";
import { integer } from "../values/primitives.ts";

/** What holds where nothing is configured. */
export const DEFAULT_LIMITER: LimiterPolicy = { tableEntries: 1000 };

// An entry takes about a kilobyte with a few limits, and an isolate has 128 MB for everything.
const MOST_ENTRIES = 20_000;

/** How much an isolate remembers of the clients that it serves. */
export const LimiterSchema = closedObject({
  tableEntries: v.optional(integer(1, MOST_ENTRIES)),
});

/** The limiter's memory, with defaults. */
export function resolveLimiter(input: v.InferOutput<typeof LimiterSchema> | undefined): LimiterPolicy {
  return { tableEntries: input?.tableEntries ?? DEFAULT_LIMITER.tableEntries };
}
