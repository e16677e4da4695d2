import * as v from "valibot";
import type { QuotaSettings } from "../../backend-types.ts";
import { closedObject } from "../../document/closed-object.ts";
import { duration } from "../../values/duration.ts";
import { entityName, flag, integer, oneOf } from "../../values/primitives.ts";
import { isOn } from "../policy.ts";
import { limitKeys } from "../rate-limit/limit-key.ts";
import { BackoffSchema } from "./retry.ts";

/** What holds where nothing else is said. */
export const DEFAULT_QUOTA = {
  windowMs: 60_000,
  maxQueue: 100,
  maxPauseMs: 600_000,
  backoff: { baseMs: 1_000, maxMs: 60_000 },
  maxWaitMs: 20_000,
} as const;

const { windowMs, maxQueue, maxPauseMs, backoff } = DEFAULT_QUOTA;
const MINUTE = { windowMs, maxQueue, maxPauseMs, backoff } as const;

/** What providers commonly allow, ready to be named. */
export const QUOTA_PRESETS = {
  "30-per-minute": { ...MINUTE, requests: 30, burst: 10, spacingMs: 100 },
  "10-per-minute": { ...MINUTE, requests: 10, burst: 3, spacingMs: 1_000 },
  "5-per-minute": { ...MINUTE, requests: 5, burst: 2, spacingMs: 2_000 },
  "60-per-minute": { ...MINUTE, requests: 60, burst: 60, spacingMs: 50 },
} as const;

/** A month is the longest that a provider counts. */
const MAX_WINDOW_MS = 31 * 86_400_000;

const PRESETS = ["30-per-minute", "10-per-minute", "5-per-minute", "60-per-minute"] as const;
const preset = oneOf(PRESETS);
const count = integer(1, 1_000_000);

/** How much an upstream may be asked, in detail. */
export const QuotaSchema = v.pipe(
  closedObject({
    enabled: v.optional(flag),
    name: v.optional(entityName),
    preset: v.optional(preset),
    requests: v.optional(count),
    window: v.optional(duration("ms", { min: 1_000, max: MAX_WINDOW_MS })),
    burst: v.optional(count),
    spacing: v.optional(duration("ms", { min: 0, max: 3_600_000 })),
    maxQueue: v.optional(integer(0, 10_000)),
    maxWait: v.optional(duration("ms", { min: 0, max: 300_000 })),
    maxPause: v.optional(duration("ms", { max: 86_400_000 })),
    backoff: v.optional(BackoffSchema),
    by: v.optional(limitKeys),
    priority: v.optional(oneOf(["critical", "normal", "low"])),
    onError: v.optional(oneOf(["closed", "open"])),
  }),
  v.forward(
    v.partialCheck(
      [["preset"], ["requests"], ["window"], ["burst"], ["spacing"]],
      ({ preset: named, requests, window, burst, spacing }) =>
        named === undefined
          ? requests !== undefined
          : [requests, window, burst, spacing].every((one) => one === undefined),
      'either "preset", or numbers of its own: "requests" and, where wanted, "window", "burst" and "spacing"',
    ),
    ["requests"],
  ),
  v.forward(
    v.partialCheck(
      [["requests"], ["burst"]],
      ({ requests = Infinity, burst }) => burst === undefined || burst <= requests,
      'at most "requests"',
    ),
    ["burst"],
  ),
  v.forward(
    v.partialCheck(
      [["window"], ["spacing"]],
      ({ window = windowMs, spacing = 0 }) => spacing <= window,
      'at most "window"',
    ),
    ["spacing"],
  ),
);

/** `quota`: the name of a preset, or an object. */
export const quotaPolicy = v.union(
  [v.literal(false), preset, QuotaSchema],
  `one of ${PRESETS.map((name) => `"${name}"`).join(", ")}, an object with "preset" or "requests", or false`,
);

/**
 * The settings with their defaults; undefined: nobody counts what the backend is asked.
 *
 * @param backend whose name the quota has that has none of its own.
 */
export function resolveQuota(
  policy: v.InferOutput<typeof quotaPolicy> | undefined,
  backend: string,
): QuotaSettings | undefined {
  const input: v.InferOutput<typeof QuotaSchema> | false | undefined =
    typeof policy === "string" ? { preset: policy } : policy;
  if (!isOn(input)) return undefined;
  const { backoff: { base, max } = {} } = input;
  const baseMs = base ?? Math.min(backoff.baseMs, max ?? Infinity);
  return {
    name: input.name ?? backend,
    policy: {
      ...paceOf(input),
      maxQueue: input.maxQueue ?? maxQueue,
      maxPauseMs: input.maxPause ?? maxPauseMs,
      backoff: { baseMs, maxMs: max ?? Math.max(backoff.maxMs, baseMs) },
    },
    maxWaitMs: input.maxWait ?? DEFAULT_QUOTA.maxWaitMs,
    by: input.by ?? [{ kind: "ip" }],
    priority: input.priority,
    onError: input.onError ?? "closed",
  };
}

function paceOf({ preset: named, requests = 1, window, burst, spacing }: v.InferOutput<typeof QuotaSchema>) {
  if (named !== undefined) return QUOTA_PRESETS[named];
  return { requests, windowMs: window ?? windowMs, burst: burst ?? requests, spacingMs: spacing ?? 0 };
}
