import * as v from "valibot";
import { closedObject } from "../document/closed-object.ts";
import { duration } from "../values/duration.ts";
import { flag } from "../values/primitives.ts";
import { removable } from "./policy.ts";

/** Keeping responses. */
export const CacheSchema = closedObject({
  enabled: v.optional(flag),
  ttl: v.optional(duration("s")),
  respectCacheControl: v.optional(flag),
});

/** `cache`: the policy, or false. */
export const CachePolicySchema = removable(CacheSchema);
