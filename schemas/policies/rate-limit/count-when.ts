import * as v from "valibot";
import { closedObject } from "../../document/closed-object.ts";
import type { CountWhen } from "../../rate-limit-types.ts";
import { flag, listOf } from "../../values/primitives.ts";
import { statusOf, wantedStatus } from "../../values/status.ts";

const STATUS = wantedStatus(2);
const WANTED = `${STATUS}, an array of these, or an object with "statuses"`;

const status = statusOf(2);

/** Which responses count, and whether the gateway's own errors do. */
export const CountWhenSchema = closedObject({
  statuses: listOf(status, `an array: ${STATUS}`),
  gatewayErrors: v.optional(flag),
});

/** `countWhen`: one status, several, or an object. */
export const countWhenRule = v.union([status, listOf(status, WANTED, WANTED), CountWhenSchema], WANTED);

/** The rule in its normalised form. */
export function resolveCountWhen(input: v.InferOutput<typeof countWhenRule> | undefined): CountWhen | undefined {
  if (input === undefined) return undefined;
  if (Array.isArray(input)) return { statuses: input, gatewayErrors: false };
  if ("statuses" in input) return { statuses: input.statuses, gatewayErrors: input.gatewayErrors ?? false };
  return { statuses: [input], gatewayErrors: false };
}
