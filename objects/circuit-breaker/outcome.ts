/**
 * What a call to a target says of it. `neutral`: it answered, but not about its health. `overload`: it asks for less.
 * `none`: nothing is known, the call was ended from this side.
 */
export type Outcome = "success" | "slow" | "failure" | "neutral" | "overload" | "none";

/** How a call to a target ended. */
export type CallEnd =
  | {
      readonly kind: "response";
      readonly status: number;
      /** Whether it came with a `Retry-After` that can be read. */
      readonly hasRetryAfter: boolean;
      /** From the start of the call to its response headers. */
      readonly durationMs: number;
    }
  /** No connection (DNS, TLS, refused, reset), no answer in time, an answer that isn't HTTP, a body cut by the target. */
  | { readonly kind: "error"; readonly error: "connection" | "timeout" | "malformed" | "body-cut" }
  /** The client left, or the gateway ended the call for reasons of its own. */
  | { readonly kind: "aborted" };

/** What of a policy tells outcomes apart. */
export interface OutcomePolicy {
  readonly slowCallMs: number;
  /** Who calls ends what takes longer, but in shadow mode, where it is to count all the same. */
  readonly operationTimeoutMs: number;
  /** Statuses that are failures; default 500, 502, 503 and 504. */
  readonly failureStatuses?: readonly number[];
}

/** 501 and 505 say that the request was wrong for this target, which a healthy one may say all day. */
const FAILURE_STATUSES: readonly number[] = [500, 502, 503, 504];

/**
 * Judges how a call ended. A 429, and a 503 that says when to come back, are overload: opening for a minute would be
 * longer than the target asks for. An upgrade (101) is a success; what its socket does later is no call.
 */
export function classify(end: CallEnd, policy: OutcomePolicy): Outcome {
  const { slowCallMs, operationTimeoutMs, failureStatuses = FAILURE_STATUSES } = policy;
  if (end.kind === "error") return "failure";
  if (end.kind === "aborted") return "none";
  if (end.durationMs > operationTimeoutMs) return "failure";
  if (end.status === 429 || (end.status === 503 && end.hasRetryAfter)) return "overload";
  if (failureStatuses.includes(end.status)) return "failure";
  if (end.status >= 400) return "neutral";
  return end.durationMs > slowCallMs ? "slow" : "success";
}
