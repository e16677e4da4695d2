import * as v from "valibot";
import { closedObject } from "../document/closed-object.ts";
import { duration } from "../values/duration.ts";
import { flag, integer } from "../values/primitives.ts";
import { removable } from "./policy.ts";

/** Sparing a target that fails. */
export const CircuitBreakerSchema = closedObject({
  enabled: v.optional(flag),
  failureThreshold: v.optional(integer(1)),
  timeout: v.optional(duration("ms")),
  shadow: v.optional(flag),
});

/** `circuitBreaker`: the policy, or false. */
export const CircuitBreakerPolicySchema = removable(CircuitBreakerSchema);
