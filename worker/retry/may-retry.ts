import { backoff, type BackoffPolicy } from "./backoff.ts";

/** What was tried and how it went. */
export interface Try {
  readonly method: string;
  /** The client named the request for its life, so that an origin can tell a repetition. */
  readonly hasIdempotencyKey: boolean;
  /** Whether the body can be sent again: there is none, or all of it is kept. */
  readonly isReplayable: boolean;
  /** Retries made so far. */
  readonly retries: number;
  readonly failure: TryFailure;
  /** For how long the target of the next try asks to be left alone, in ms; 0: it doesn't. */
  readonly askedMs: number;
  /** Since the client's request arrived. */
  readonly elapsedMs: number;
}

/** How a try failed. */
export type TryFailure =
  /** No answer, or a broken one. `fetch` doesn't tell whether anything was sent, so it may have been done. */
  { readonly kind: "unanswered" } | { readonly kind: "status"; readonly status: number };

/** When a request may be tried again. */
export interface RetryPolicy {
  /** Retries beside the first try; 0 switches them off. Default 2. */
  readonly maxRetries: number;
  /** Answers that are worth another try; default 502, 503 and 504. */
  readonly statuses: readonly number[];
  readonly backoff: BackoffPolicy;
  /** For all tries together, in ms; a retry that would begin later is not made. */
  readonly overallMs: number;
}

/** Whether to try again, after how long; else why not, for the log. */
export type RetryDecision =
  | { readonly kind: "retry"; readonly afterMs: number }
  | { readonly kind: "stop"; readonly why: RefusedRetry };

/** Why the request or the time speaks against another try. */
export type RefusedRetry = "exhausted" | "status" | "not-idempotent" | "not-replayable" | "too-late" | "no-retries";

/** Why there was no other try: beside that, for want of a target or because the budget is spent. */
export type RetryStop =
  | RefusedRetry
  | "breaker-open"
  | "no-healthy-target"
  | "egress-queue-full"
  | "overloaded"
  | "budget";

/** RFC 9110, section 9.2.2. TRACE is idempotent and never forwarded with a body; CONNECT is no request that could be repeated. */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]);

/**
 * Whether a request may be sent again: where twice is the same as once, by its method or because the origin was given an
 * Idempotency-Key, and where all of it can be sent.
 *
 * A wait that a target asks for is kept, and when it is longer than there is time for, there is no retry: sooner would be
 * against its word. Whether another target, the budget and its breaker allow a retry is asked after this.
 *
 * @param random in [0, 1), for the wait.
 */
export function mayRetry(tried: Try, policy: RetryPolicy, random: number): RetryDecision {
  const { failure, retries, askedMs } = tried;
  if (policy.maxRetries === 0) return stop("no-retries");
  if (retries >= policy.maxRetries) return stop("exhausted");
  if (failure.kind === "status" && !policy.statuses.includes(failure.status)) return stop("status");
  if (!isRepeatable(tried)) return stop("not-idempotent");
  if (!tried.isReplayable) return stop("not-replayable");
  const afterMs = askedMs + backoff(retries + 1, random, policy.backoff);
  return tried.elapsedMs + afterMs < policy.overallMs ? { kind: "retry", afterMs } : stop("too-late");
}

/** Whether a request means the same when it is sent twice. */
export function isRepeatable({ method, hasIdempotencyKey }: Pick<Try, "method" | "hasIdempotencyKey">): boolean {
  return IDEMPOTENT.has(method) || hasIdempotencyKey;
}

function stop(why: RefusedRetry): RetryDecision {
  return { kind: "stop", why };
}
