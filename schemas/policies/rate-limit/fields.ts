import * as v from "valibot";
import { closedObject } from "../../document/closed-object.ts";
import { duration } from "../../values/duration.ts";
import { flag, integer, oneOf } from "../../values/primitives.ts";
import { timeZoneName } from "../../values/time-zone.ts";
import { banPolicy, ExemptSchema } from "./ban.ts";
import { costRule, SettleSchema } from "./cost.ts";
import { countWhenRule } from "./count-when.ts";
import { limitKeys } from "./limit-key.ts";

const NAME = "a name: letters, digits, dots, dashes and underscores, at most 32 (it appears in the RateLimit headers)";

/** The fields of a limit, each by itself. */
export const LimitFieldsSchema = closedObject({
  enabled: v.optional(flag),
  name: v.optional(v.pipe(v.string(NAME), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/, NAME))),
  algorithm: v.optional(
    oneOf(["token-bucket", "sliding-window", "approximate-sliding-window", "fixed-window", "concurrency"]),
  ),
  requestsPerWindow: v.optional(integer(1)),
  windowSeconds: v.optional(duration("s")),
  window: v.optional(duration(undefined)),
  calendar: v.optional(oneOf(["minute", "hour", "day", "week", "month"])),
  timeZone: v.optional(timeZoneName),
  burst: v.optional(integer(1)),
  maxConcurrent: v.optional(integer(1)),
  by: v.optional(limitKeys),
  exempt: v.optional(ExemptSchema),
  cost: v.optional(costRule),
  settle: v.optional(SettleSchema),
  maxDebt: v.optional(integer(0)),
  countWhen: v.optional(countWhenRule),
  countCacheHits: v.optional(flag),
  ban: v.optional(banPolicy),
  mode: v.optional(oneOf(["strict", "leased"])),
  onError: v.optional(oneOf(["local", "closed", "open"])),
  clients: v.optional(oneOf(["pooled", "own"])),
  shadow: v.optional(flag),
  legacyHeaders: v.optional(flag),
  deadline: v.optional(duration("ms", { max: 30_000 })),
});

/** A limit as its document states it. */
export type RateLimitInput = v.InferOutput<typeof LimitFieldsSchema>;
