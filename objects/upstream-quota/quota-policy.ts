import type { QuotaPolicy } from "../../schemas/index.ts";
import { isText, wanted, type Unchecked } from "../message-checks.ts";
import { isCount } from "../numbers.ts";
import { isExact } from "../rate-limiter/algorithms/token-bucket.ts";

export type { QuotaPolicy };

/** What a message says of the quota whose owner it goes to. */
export interface QuotaTerms {
  /** As the configuration names it. */
  readonly quota: string;
  /** The configuration that the policy comes from. A lower one than was heard of never changes it. */
  readonly configVersion: number;
  readonly policy: QuotaPolicy;
}

const MAX_NAME_LENGTH = 256;
const MAX_QUEUE = 10_000;
/** A window of a month is the longest that a provider counts. */
const MAX_WINDOW_MS = 31 * 86_400_000;
const AT_LEAST_ONE = ["requests", "windowMs", "burst", "maxPauseMs"] as const;

/** What is wrong with the terms of a message, in words for a log, or undefined. */
export function termsProblem({ quota, configVersion, policy }: Unchecked<QuotaTerms>): string | undefined {
  if (!isText(quota, MAX_NAME_LENGTH)) return wanted("quota", quota, `1 to ${MAX_NAME_LENGTH} characters`);
  if (!isCount(configVersion)) return wanted("configVersion", configVersion, "an integer >= 0");
  if (typeof policy !== "object" || policy === null) return wanted("policy", policy, "an object");
  return policyProblem(policy);
}

function policyProblem(policy: Unchecked<QuotaPolicy>): string | undefined {
  for (const field of AT_LEAST_ONE) {
    const value = policy[field];
    if (!isCount(value) || value === 0) return wanted(`policy.${field}`, value, "an integer >= 1");
  }
  const { requests, windowMs, burst, spacingMs, maxQueue, backoff } = policy;
  if (!isCount(windowMs) || windowMs > MAX_WINDOW_MS) {
    return wanted("policy.windowMs", windowMs, `at most ${MAX_WINDOW_MS}, a month`);
  }
  if (!isCount(requests) || !isExact(requests, windowMs)) {
    return wanted("policy.requests", requests, "at most 2^53 / windowMs");
  }
  if (!isCount(burst) || burst > requests) return wanted("policy.burst", burst, `at most requests, ${requests}`);
  if (!isCount(spacingMs) || spacingMs > windowMs) {
    return wanted("policy.spacingMs", spacingMs, `an integer from 0 to windowMs, ${windowMs}`);
  }
  if (!isCount(maxQueue) || maxQueue > MAX_QUEUE) {
    return wanted("policy.maxQueue", maxQueue, `an integer from 0 to ${MAX_QUEUE}`);
  }
  if (typeof backoff !== "object" || backoff === null) return wanted("policy.backoff", backoff, "an object");
  return backoffProblem(backoff);
}

function backoffProblem(backoff: Unchecked<QuotaPolicy["backoff"]>): string | undefined {
  for (const field of ["baseMs", "maxMs"] as const) {
    const value = backoff[field];
    if (!isCount(value) || value === 0) return wanted(`policy.backoff.${field}`, value, "an integer >= 1");
  }
  return undefined;
}

/** A policy as the entries of a row. */
export function packPolicy(policy: QuotaPolicy): readonly number[] {
  const { requests, windowMs, burst, spacingMs, maxQueue, maxPauseMs, backoff } = policy;
  return [requests, windowMs, burst, spacingMs, maxQueue, maxPauseMs, backoff.baseMs, backoff.maxMs];
}

/** What `packPolicy` packed, or undefined when it can't have. */
export function unpackPolicy(packed: unknown): QuotaPolicy | undefined {
  if (!Array.isArray(packed)) return undefined;
  const list: readonly unknown[] = packed;
  const [requests, windowMs, burst, spacingMs, maxQueue, maxPauseMs, baseMs, maxMs] = list.map((entry) =>
    isCount(entry) ? entry : -1,
  );
  const policy = { requests, windowMs, burst, spacingMs, maxQueue, maxPauseMs, backoff: { baseMs, maxMs } };
  return isPolicy(policy) ? policy : undefined;
}

function isPolicy(policy: Unchecked<QuotaPolicy>): policy is QuotaPolicy {
  return policyProblem(policy) === undefined;
}
