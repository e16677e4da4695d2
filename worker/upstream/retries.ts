import { readIdempotencyKey } from "../../objects/dedup/idempotency-key.ts";
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
  decide(outgoing: Outgoing, failed: Failed): RetryDecision;
}

/** What `decide` goes by; as `Try` says. */
export interface Failed {
  readonly failure: TryFailure;
  readonly made: number;
  readonly askedMs: number;
}

const FIELD = "idempotency-key";

/** For handshakes that nobody has heard, where their backend has no retries: any other target may have them, at once. */
export const ANY_OTHER: Pick<Retries, "allowance" | "decide"> = {
  allowance: { note() {}, take: () => true },
  decide: ({ exchange: { deadline } }) =>
    Date.now() < deadline ? { kind: "retry", afterMs: 0 } : { kind: "stop", why: "too-late" },
};

/** Compiles a backend's retries; undefined: it has none. */
export function compileRetries({ name, retry }: Backend, targets: readonly RouteTarget[]): Retries | undefined {
  if (retry === undefined) return undefined;
  const { maxRetries, statuses, backoff, budget } = retry;

  return {
    statuses: new Set(statuses),
    allowance: allowance(`retry:${name}`, budget, targets),
    isRepeatable: (outgoing) => isReplayable(outgoing) && isRepeatable(askedFor(outgoing)),
    decide(outgoing, { failure, made, askedMs }) {
      const { receivedAt, deadline } = outgoing.exchange;
      const policy: RetryPolicy = { maxRetries, statuses, backoff, overallMs: deadline - receivedAt };
      const tried = {
        ...askedFor(outgoing),
        isReplayable: isReplayable(outgoing),
        retries: made,
        failure,
        askedMs,
        elapsedMs: Date.now() - receivedAt,
      };
      return mayRetry(tried, policy, Math.random());
    },
  };
}

/**
 * A key that names nothing, or could be read as two, is none: an origin that doesn't take it does the request again. It is what the
 * origin gets that counts; the client's fields are looked at first since that costs less.
 */
function askedFor({ exchange, headers }: Outgoing): { readonly method: string; readonly hasIdempotencyKey: boolean } {
  const { method } = exchange.canonical;
  if (exchange.isSentOnce === true || exchange.fields.get(FIELD) === null) return { method, hasIdempotencyKey: false };
  return { method, hasIdempotencyKey: readIdempotencyKey(headers.get(FIELD)).kind === "key" };
}

/** A stream is gone when it is sent; so is the body of a GET, which is sent inside the client's own request. */
function isReplayable({ body: { body } }: Outgoing): boolean {
  return body === null || body instanceof ArrayBuffer;
}
