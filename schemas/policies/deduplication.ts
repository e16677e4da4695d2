import * as v from "valibot";
import { closedObject } from "../document/closed-object.ts";
import { duration } from "../values/duration.ts";
import { flag } from "../values/primitives.ts";
import { removable } from "./policy.ts";

/** One upstream request for identical ones in flight. */
export const DeduplicationSchema = closedObject({
  enabled: v.optional(flag),
  windowMs: v.optional(duration("ms")),
});

/** `deduplication`: the policy, or false. */
export const DeduplicationPolicySchema = removable(DeduplicationSchema);
