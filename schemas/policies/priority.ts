import * as v from "valibot";
import type { PriorityPolicy } from "../traffic-types.ts";
import { closedObject } from "../document/closed-object.ts";
import { headerName, oneOf } from "../values/primitives.ts";

const CLASSES = ["critical", "normal", "low"] as const;
const WANTED = `${CLASSES.map((name) => `"${name}"`).join(", ")}, or an object with "default" or "header"`;
const priority = oneOf(CLASSES);

/** The class of a route's requests, where clients may say another one. */
export const PrioritySchema = closedObject({ default: v.optional(priority), header: v.optional(headerName) });

/** `priority`: a class, or an object. */
export const PriorityPolicySchema = v.union([priority, PrioritySchema], WANTED);

/** The policy with its defaults; undefined: every request is `normal`. */
export function resolvePriority(
  policy: v.InferOutput<typeof PriorityPolicySchema> | undefined,
): PriorityPolicy | undefined {
  if (policy === undefined) return undefined;
  if (typeof policy === "string") return { standard: policy, header: undefined };
  return { standard: policy.default ?? "normal", header: policy.header?.toLowerCase() };
}
