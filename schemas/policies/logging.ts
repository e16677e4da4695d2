import * as v from "valibot";
import type { LoggingPolicy } from "../config-types.ts";
import { closedObject } from "../document/closed-object.ts";
import { flag } from "../values/primitives.ts";
import { isOn, removable } from "./policy.ts";

/** One JSON line per exchange. */
export const LoggingSchema = closedObject({
  enabled: v.optional(flag),
});

/** `logging`: the policy, or false. */
export const LoggingPolicySchema = removable(LoggingSchema);

/** On unless switched off. */
export function resolveLogging(policy: v.InferOutput<typeof LoggingPolicySchema> | undefined): LoggingPolicy {
  return { enabled: policy === undefined || isOn(policy) };
}
