import * as v from "valibot";

/** What every policy says: whether it is on. */
export interface Switchable {
  readonly enabled?: boolean | undefined;
}

/** A policy, or `false`, which removes what a wider level configured. */
export function removable<const Policy extends v.GenericSchema>(policy: Policy, wanted = OBJECT_OR_FALSE) {
  return v.union([v.literal(false, wanted), policy], wanted);
}

/** A policy whose fields all have defaults: `true` for those, the policy, or `false`. */
export function switchable<const Policy extends v.GenericSchema>(policy: Policy, wanted = SWITCH_OR_OBJECT) {
  return v.union([v.boolean(wanted), policy], wanted);
}

/** What is wanted of a section without a switch of its own. */
export const SECTION = "an object; {} is all defaults";
const SWITCH_OR_OBJECT = "true for the defaults, an object, or false to remove the policy";
const OBJECT_OR_FALSE = "an object, or false to remove the policy";

/** Whether a policy is written down and not switched off. */
export function isOn<Policy extends Switchable>(policy: Policy | false | undefined): policy is Policy {
  return policy !== undefined && policy !== false && policy.enabled !== false;
}
