import type { Backend } from "../../schemas/index.ts";
import { isRepeatable, mayRetry, type RetryDecision, type RetryPolicy, type TryFailure } from "../retry/may-retry.ts";
import type { Outgoing, RouteTarget } from "./flight.ts";
import { allowance, type Allowance } from "./retry-allowance.ts";

/** When requests to a backend are sent again. */
export interface Retries {
  /** Answers that are worth another try. */
  readonly statuses: ReadonlySet<number>;
  readonly allowance: Allowance;
  /** Whether a request may be sent more than once at all. */
  isRepeatable(outgoing: Outgoing): boolean;
  /** Whether to send a request again that failed so, and after how long; the budget is asked after this. */
  decide(outgoing: Outgoing, failure: TryFailure, made: number): RetryDecision;
}

/** Compiles a backend's retries; undefined: it has none. */
export function compileRetries({ name, retry }: Backend, targets: readonly RouteTarget[]): Retries | undefined {
  if (retry === undefined) return undefined;
  const { maxRetries, statuses, backoff, budget } = retry;

  return {
    statuses: new Set(statuses),
    allowance: allowance(`retry:${name}`, budget, targets),
    isRepeatable: (outgoing) => isReplayable(outgoing) && isRepeatable(askedFor(outgoing)),
    decide(outgoing, failure, made) {
      const { receivedAt, deadline } = outgoing.exchange;
      const policy: RetryPolicy = { maxRetries, statuses, backoff, overallMs: deadline - receivedAt };
      const tried = {
        ...askedFor(outgoing),
        isReplayable: isReplayable(outgoing),
        retries: made,
        failure,
        elapsedMs: Date.now() - receivedAt,
      };
      return mayRetry(tried, policy, Math.random());
    },
  };
}

/** What the origin sees: a key that the client's `Connection` names stays behind, and tells the origin nothing. */
function askedFor({ exchange }: Outgoing): { readonly method: string; readonly hasIdempotencyKey: boolean } {
  const key = exchange.fields.endToEnd.get("idempotency-key");
  return { method: exchange.canonical.method, hasIdempotencyKey: key !== null && key !== "" };
}

/** A stream is gone when it is sent; so is the body of a GET, which is sent inside the client's own request. */
function isReplayable({ body: { body } }: Outgoing): boolean {
  return body === null || body instanceof ArrayBuffer;
}
