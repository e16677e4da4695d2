import * as v from "valibot";
import type { DeduplicationSettings } from "../deduplication-types.ts";
import { closedObject } from "../document/closed-object.ts";
import { duration } from "../values/duration.ts";
import { flag, oneOf } from "../values/primitives.ts";
import { isOn, switchable } from "./policy.ts";

/** What `deduplication: true` means. */
export const DEFAULT_DEDUPLICATION: DeduplicationSettings = { windowMs: 5_000, coalesce: "fresh" };

/** One upstream request for identical ones in flight. */
export const DeduplicationSchema = closedObject({
  enabled: v.optional(flag),
  // What has come whole is in memory for so long.
  windowMs: v.optional(duration("ms", { min: 0, max: 60_000 })),
  coalesce: v.optional(oneOf(["fresh", "arrived-before-headers"])),
});

/** `deduplication`: a switch or the policy. */
export const DeduplicationPolicySchema = switchable(DeduplicationSchema);

/** What a level says of it. */
export type DeduplicationInput = v.InferOutput<typeof DeduplicationPolicySchema>;

/** The policy with its defaults; undefined: each request is made by itself. */
export function resolveDeduplication(policy: DeduplicationInput | undefined): DeduplicationSettings | undefined {
  if (policy === true) return DEFAULT_DEDUPLICATION;
  if (policy === false || !isOn(policy)) return undefined;
  const { windowMs, coalesce } = policy;
  return {
    windowMs: windowMs ?? DEFAULT_DEDUPLICATION.windowMs,
    coalesce: coalesce ?? DEFAULT_DEDUPLICATION.coalesce,
  };
}
