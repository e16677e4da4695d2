import type { LimitKey } from "./rate-limit-types.ts";

/** How a route sees to it that a request with an idempotency key has one effect. */
export interface IdempotencySettings {
  /** Whether a request without a key is refused. Default false. */
  readonly required: boolean;
  /** Lower-case name of the field that the key is in. Default `idempotency-key`. */
  readonly header: string;
  /** Upper case; requests with other methods pass untouched. Default POST and PATCH. */
  readonly methods: readonly string[];
  /** What makes a principal, whose keys are nobody else's; undefined: who was authenticated, else the address with its credentials. */
  readonly by: readonly LimitKey[] | undefined;
  /** How long a key means its first request, in ms. Default 24 h. */
  readonly ttlMs: number;
  /** What a request gets whose outcome is lost: 409, or it is sent once more. Default `refuse`. */
  readonly onUnknown: "refuse" | "retry";
  /** Bytes of request body, which is read whole. Default 1 MiB. */
  readonly maxBodySize: number;
  /** Bytes of body up to which an answer is kept; of a larger one only that it was given. Default 1 MiB. */
  readonly maxAnswerSize: number;
  /** Everything is sent; what would have been refused or answered from a record is named in the log. Default false. */
  readonly shadow: boolean;
}
