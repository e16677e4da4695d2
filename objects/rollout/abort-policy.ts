import type { AbortPolicy, ErrorBound, TimeBound } from "../../schemas/index.ts";
import { isCount } from "../numbers.ts";
import { wanted, type Unchecked } from "../message-checks.ts";

export type { AbortPolicy, ErrorBound };

const MIN_WINDOW_MS = 1_000;
const ROUNDS = 10;

/** How long a round lasts. */
export function roundMs({ windowMs }: AbortPolicy): number {
  return windowMs / ROUNDS;
}

/** What is wrong with a policy, in words for a log; undefined: nothing. null is one: nothing is aborted by itself. */
export function abortPolicyProblem(policy: unknown): string | undefined {
  if (policy === null) return undefined;
  if (!isObject(policy)) return wanted("policy", policy, "an object or null");
  const { falseAborts, windowMs, minimumRequests } = policy;
  if (!isWithin(falseAborts, 1e-9, 0.5)) return wanted("policy.falseAborts", falseAborts, "a number in (0, 0.5]");
  if (!isCount(windowMs) || windowMs < MIN_WINDOW_MS) {
    return wanted("policy.windowMs", windowMs, `an integer >= ${MIN_WINDOW_MS}`);
  }
  if (!isCount(minimumRequests)) return wanted("policy.minimumRequests", minimumRequests, "an integer >= 0");
  return errorsProblem(policy.errors) ?? timesProblem(policy.times);
}

/** Whether two policies judge alike. */
export function isSameAbort(one: AbortPolicy | null, other: AbortPolicy | null): boolean {
  if (one === null || other === null) return one === other;
  return JSON.stringify(listOf(one)) === JSON.stringify(listOf(other));
}

function listOf({ falseAborts, windowMs, minimumRequests, errors, times }: AbortPolicy): readonly unknown[] {
  return [falseAborts, windowMs, minimumRequests, errors?.ratio, errors?.gap, times?.quantile, times?.ratio];
}

function errorsProblem(errors: unknown): string | undefined {
  if (errors === null) return undefined;
  if (!isObject(errors)) return wanted("policy.errors", errors, "an object or null");
  const { ratio, gap } = errors;
  if (!isWithin(ratio, 1, 1_000)) return wanted("policy.errors.ratio", ratio, "a number from 1 to 1,000");
  return isWithin(gap, 0, 1) ? undefined : wanted("policy.errors.gap", gap, "a number from 0 to 1");
}

function timesProblem(times: unknown): string | undefined {
  if (times === null) return undefined;
  if (!isObject(times)) return wanted("policy.times", times, "an object or null");
  const { quantile, ratio } = times;
  if (!isWithin(quantile, 0.01, 0.999)) return wanted("policy.times.quantile", quantile, "a number from 0.01 to 0.999");
  return isWithin(ratio, 1, 1_000) ? undefined : wanted("policy.times.ratio", ratio, "a number from 1 to 1,000");
}

function isWithin(value: unknown, least: number, most: number): boolean {
  return typeof value === "number" && value >= least && value <= most;
}

function isObject(value: unknown): value is Unchecked<AbortPolicy & ErrorBound & TimeBound> {
  return typeof value === "object" && value !== null;
}
