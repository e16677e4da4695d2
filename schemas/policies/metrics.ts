import * as v from "valibot";
import { closedObject } from "../document/closed-object.ts";
import { flag } from "../values/primitives.ts";
import { removable } from "./policy.ts";

/** Fleet-wide figures. */
export const MetricsSchema = closedObject({
  enabled: v.optional(flag),
});

/** `metrics`: the policy, or false. */
export const MetricsPolicySchema = removable(MetricsSchema);
