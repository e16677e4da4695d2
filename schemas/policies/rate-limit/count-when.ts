import * as v from "valibot";
import { closedObject } from "../../document/closed-object.ts";
import type { CountWhen } from "../../rate-limit-types.ts";
import { flag, listOf } from "../../values/primitives.ts";

const STATUS = 'a status from 200 to 599 or a class such as "4xx"';
const WANTED = `${STATUS}, an array of these, or an object with "statuses"`;

const code = v.pipe(v.number(STATUS), v.safeInteger(STATUS), v.minValue(200, STATUS), v.maxValue(599, STATUS));

const status = v.pipe(
  v.union([code, v.pipe(v.string(STATUS), v.regex(/^[2-5]xx$/, STATUS))], STATUS),
  v.transform((written) => {
    if (typeof written === "number") return { from: written, to: written };
    const hundreds = Number(written.slice(0, 1)) * 100;
    return { from: hundreds, to: hundreds + 99 };
  }),
);

/** Which responses count, and whether the gateway's own errors do. */
export const CountWhenSchema = closedObject({
  statuses: listOf(status, `an array: ${STATUS}`),
  gatewayErrors: v.optional(flag),
});

/** `countWhen`: one status, several, or an object. */
export const countWhenRule = v.union([status, listOf(status, WANTED), CountWhenSchema], WANTED);

/** The rule in its normalised form. */
export function resolveCountWhen(input: v.InferOutput<typeof countWhenRule> | undefined): CountWhen | undefined {
  if (input === undefined) return undefined;
  if (Array.isArray(input)) return { statuses: input, gatewayErrors: false };
  if ("statuses" in input) return { statuses: input.statuses, gatewayErrors: input.gatewayErrors ?? false };
  return { statuses: [input], gatewayErrors: false };
}
