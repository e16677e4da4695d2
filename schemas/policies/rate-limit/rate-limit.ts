import * as v from "valibot";
import { decimal } from "../../values/decimal.ts";
import { removable } from "../policy.ts";
import { brokenRules } from "./combinations.ts";
import { numberFaults } from "./countable.ts";
import { LimitFieldsSchema } from "./fields.ts";
import { resolveRateLimit } from "./resolve.ts";

/** What owners take in one message, as in `objects/message-checks.ts`; they would decide about none of more. */
const MOST_LIMITS = 32;

/** As if no route had a multiplier: what routes make of shared limits is checked with them. */
const ALONE = { id: "", name: "", multiplier: 1, multipliers: [1] };

/** One counter per client. */
export const RateLimitSchema = v.pipe(
  LimitFieldsSchema,
  v.rawCheck(({ dataset, addIssue }) => {
    const value: unknown = dataset.value;
    if (typeof value !== "object" || value === null || Array.isArray(value)) return;
    const limit: Record<string, unknown> = { ...value };
    // Numbers are judged together, once each is one that the limit could have.
    const isSound = dataset.typed && dataset.issues === undefined;
    const numbers = isSound ? numberFaults(resolveRateLimit(dataset.value, ALONE), dataset.value.maxDebt) : [];
    for (const { field, wanted } of [...brokenRules(limit), ...numbers]) {
      const path = { type: "object", origin: "value", input: limit, key: field, value: limit[field] } as const;
      addIssue({ message: wanted, path: [path] });
    }
  }),
);

/** `rateLimit`: one limit, or false. */
export const RateLimitPolicySchema = removable(
  RateLimitSchema,
  'an object, or false to remove the policy; several limits go into "rateLimits"',
);

/** `rateLimits`: several limits that are checked and deducted together, or false. */
export const RateLimitListSchema = v.union(
  [
    v.literal(false, "an array of rate limits, or false"),
    v.pipe(
      v.array(RateLimitSchema, "an array of rate limits, or false"),
      v.maxLength(MOST_LIMITS, `at most ${MOST_LIMITS} limits: one message to their owner holds them all`),
      v.rawCheck(({ dataset, addIssue }) => {
        const limits: readonly unknown[] = Array.isArray(dataset.value) ? dataset.value : [];
        const names = limits.map(nameOf);
        for (const [index, name] of names.entries()) {
          if (name !== undefined && names.indexOf(name) === index) continue;
          const message = name === undefined ? 'a "name", since there may be several limits' : "a name of its own";
          addIssue({ message, path: pathToName(limits, index) });
        }
      }),
    ),
  ],
  "an array of rate limits, or false",
);

/** `rateLimitMultiplier`: what a route's requests cost under the limits that it shares, times their cost. */
export const rateLimitMultiplier = decimal(0.001, 1_000_000);

function nameOf(limit: unknown): unknown {
  return typeof limit === "object" && limit !== null && "name" in limit ? limit.name : undefined;
}

function pathToName(limits: readonly unknown[], index: number): [v.IssuePathItem, v.IssuePathItem] {
  const limit = Object.assign({}, limits[index]);
  return [
    { type: "array", origin: "value", input: [...limits], key: index, value: limit },
    { type: "object", origin: "value", input: limit, key: "name", value: nameOf(limit) },
  ];
}
