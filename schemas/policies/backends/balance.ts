import * as v from "valibot";
import type { BalancePolicy } from "../../backend-types.ts";
import { closedObject } from "../../document/closed-object.ts";
import { decimal } from "../../values/decimal.ts";
import { duration } from "../../values/duration.ts";
import { oneOf } from "../../values/primitives.ts";
import { limitKeys } from "../rate-limit/limit-key.ts";

/** What holds where nothing is configured. */
export const DEFAULT_BALANCE: BalancePolicy = {
  algorithm: "weighted-random",
  by: [],
  slowStartMs: 0,
  maxEjection: 0.5,
  panicThreshold: 0.5,
};

const ALGORITHMS = ["weighted-random", "round-robin", "least-requests", "power-of-two", "rendezvous"] as const;
const WANTED = `${ALGORITHMS.map((name) => `"${name}"`).join(", ")}, or an object with "algorithm"`;

const algorithm = oneOf(ALGORITHMS);
const share = decimal(0, 1);

/** How a target is chosen, in detail. */
export const BalanceSchema = v.pipe(
  closedObject({
    algorithm: v.optional(algorithm),
    by: v.optional(limitKeys),
    slowStart: v.optional(duration("ms", { min: 0, max: 3_600_000 })),
    maxEjection: v.optional(share),
    panicThreshold: v.optional(share),
  }),
  v.forward(
    v.partialCheck(
      [["algorithm"], ["by"]],
      ({ algorithm: chosen, by }) => by === undefined || chosen === "rendezvous",
      'nothing without "algorithm": "rendezvous": the others look at the targets alone',
    ),
    ["by"],
  ),
  v.forward(
    v.partialCheck(
      [["by"]],
      ({ by = [] }) => by.every(({ kind }) => kind !== "all"),
      'what tells requests apart, such as "ip": with "all" one target gets every request',
    ),
    ["by"],
  ),
);

/** `balance`: the name of an algorithm, or an object. */
export const balancePolicy = v.union([algorithm, BalanceSchema], WANTED);

/** The policy with its defaults. */
export function resolveBalance(policy: v.InferOutput<typeof balancePolicy> | undefined): BalancePolicy {
  if (policy === undefined) return DEFAULT_BALANCE;
  const input: v.InferOutput<typeof BalanceSchema> = typeof policy === "string" ? { algorithm: policy } : policy;
  const chosen = input.algorithm ?? DEFAULT_BALANCE.algorithm;
  return {
    algorithm: chosen,
    by: chosen === "rendezvous" ? (input.by ?? [{ kind: "ip" }]) : [],
    slowStartMs: input.slowStart ?? DEFAULT_BALANCE.slowStartMs,
    maxEjection: input.maxEjection ?? DEFAULT_BALANCE.maxEjection,
    panicThreshold: input.panicThreshold ?? DEFAULT_BALANCE.panicThreshold,
  };
}
