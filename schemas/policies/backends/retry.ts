import * as v from "valibot";
import type { RetrySettings } from "../../backend-types.ts";
import { closedObject } from "../../document/closed-object.ts";
import { decimal } from "../../values/decimal.ts";
import { duration } from "../../values/duration.ts";
import { flag, integer } from "../../values/primitives.ts";
import { errorStatuses } from "../../values/status.ts";
import { isOn, switchable } from "../policy.ts";

/** What `retry: true` means. As in `worker/retry`. */
export const DEFAULT_RETRY: RetrySettings = {
  maxRetries: 2,
  statuses: [502, 503, 504],
  perTryMs: undefined,
  backoff: { baseMs: 50, maxMs: 1_000 },
  budget: { ratio: 0.2, perSecond: 10 },
};

const wait = duration("ms", { min: 1, max: 60_000 });

/** How long to wait before another try. */
export const BackoffSchema = v.pipe(
  closedObject({ base: v.optional(wait), max: v.optional(wait) }, { wanted: 'an object with "base" or "max"' }),
  v.forward(
    v.partialCheck(
      [["base"], ["max"]],
      ({ base = 0, max = Infinity }) => base <= max,
      '"max" at least as long as "base"',
    ),
    ["max"],
  ),
);

/** How many retries there may be beside requests. */
export const RetryBudgetSchema = v.pipe(
  closedObject(
    { ratio: v.optional(decimal(0, 1)), perSecond: v.optional(decimal(0, 10_000)) },
    { wanted: 'an object with "ratio" or "perSecond"' },
  ),
  v.partialCheck(
    [["ratio"], ["perSecond"]],
    ({ ratio, perSecond }) => ratio !== 0 || perSecond !== 0,
    'more than 0 in "ratio" or "perSecond"; to try nothing again write "retry": false',
  ),
);

/** When a request is tried again. */
export const RetrySchema = closedObject({
  enabled: v.optional(flag),
  maxRetries: v.optional(integer(1, 10)),
  statuses: v.optional(errorStatuses),
  perTryTimeout: v.optional(duration("ms", { min: 10, max: 3_600_000 })),
  backoff: v.optional(BackoffSchema),
  budget: v.optional(RetryBudgetSchema),
});

/** `retry`: a switch or the details. */
export const RetryPolicySchema = switchable(RetrySchema);

/** What a level says about retries. */
export type RetryInput = v.InferOutput<typeof RetryPolicySchema>;

/** The settings with their defaults; undefined: nothing is tried again. */
export function resolveRetry(policy: RetryInput | undefined): RetrySettings | undefined {
  const input: v.InferOutput<typeof RetrySchema> | false | undefined = policy === true ? {} : policy;
  if (!isOn(input)) return undefined;
  const { backoff = {}, budget = {} } = input;
  const baseMs = backoff.base ?? Math.min(DEFAULT_RETRY.backoff.baseMs, backoff.max ?? Infinity);
  return {
    maxRetries: input.maxRetries ?? DEFAULT_RETRY.maxRetries,
    statuses: input.statuses ?? DEFAULT_RETRY.statuses,
    perTryMs: input.perTryTimeout,
    backoff: { baseMs, maxMs: backoff.max ?? Math.max(DEFAULT_RETRY.backoff.maxMs, baseMs) },
    budget: {
      ratio: budget.ratio ?? DEFAULT_RETRY.budget.ratio,
      perSecond: budget.perSecond ?? DEFAULT_RETRY.budget.perSecond,
    },
  };
}
