import type { BreakerPolicy } from "../../schemas/index.ts";
import { isCount } from "../numbers.ts";
import { wanted, type Unchecked } from "../message-checks.ts";

export type { BreakerPolicy };

/** What holds where nothing is configured. */
export const DEFAULT_BREAKER: BreakerPolicy = {
  failureThreshold: 5,
  failureRate: 0.5,
  minimumCalls: 20,
  windowMs: 10_000,
  slowCallMs: 5_000,
  slowCallRate: 1,
  successThreshold: 2,
  halfOpenPermits: 3,
  halfOpenMaxFailures: 0,
  openMs: 60_000,
  openMaxMs: 600_000,
  operationTimeoutMs: 10_000,
  jitter: 0.2,
};

const POSITIVE = [
  "failureThreshold",
  "minimumCalls",
  "windowMs",
  "slowCallMs",
  "successThreshold",
  "halfOpenPermits",
  "openMs",
  "openMaxMs",
  "operationTimeoutMs",
] as const;

/** What is wrong with a policy, in words for a log, or undefined. */
export function policyProblem(policy: unknown): string | undefined {
  if (!isPolicy(policy)) return wanted("policy", policy, "an object");
  for (const field of POSITIVE) {
    if (!isCount(policy[field]) || policy[field] === 0) {
      return wanted(`policy.${field}`, policy[field], "an integer >= 1");
    }
  }
  if (!isCount(policy.halfOpenMaxFailures)) {
    return wanted("policy.halfOpenMaxFailures", policy.halfOpenMaxFailures, "an integer >= 0");
  }
  for (const field of ["failureRate", "slowCallRate"] as const) {
    const share = Number(policy[field]);
    if (!(share > 0 && share <= 1)) return wanted(`policy.${field}`, policy[field], "a number in (0, 1]");
  }
  const jitter = Number(policy.jitter);
  return jitter >= 0 && jitter < 1 ? undefined : wanted("policy.jitter", policy.jitter, "a number in [0, 1)");
}

/** Whether two policies judge alike. */
export function isSamePolicy(one: BreakerPolicy, other: BreakerPolicy): boolean {
  return FIELDS.every((field) => one[field] === other[field]);
}

/** A policy as one list of numbers, for storage. */
export function packPolicy(policy: BreakerPolicy): readonly number[] {
  return FIELDS.map((field) => policy[field]);
}

/** What `packPolicy` packed, or undefined. Numbers that it does not know are ignored. */
export function unpackPolicy(packed: unknown): BreakerPolicy | undefined {
  if (!Array.isArray(packed)) return undefined;
  const list: readonly unknown[] = packed;
  const policy: Record<string, unknown> = {};
  for (const [index, field] of FIELDS.entries()) policy[field] = list[index];
  return isValid(policy) ? policy : undefined;
}

/** In the order of storage: append only. */
const FIELDS = [
  "failureThreshold",
  "failureRate",
  "minimumCalls",
  "windowMs",
  "slowCallMs",
  "slowCallRate",
  "successThreshold",
  "halfOpenPermits",
  "halfOpenMaxFailures",
  "openMs",
  "openMaxMs",
  "operationTimeoutMs",
  "jitter",
] as const satisfies readonly (keyof BreakerPolicy)[];

function isPolicy(policy: unknown): policy is Unchecked<BreakerPolicy> {
  return typeof policy === "object" && policy !== null;
}

function isValid(policy: unknown): policy is BreakerPolicy {
  return policyProblem(policy) === undefined;
}
