import type { CallEnd } from "../backends/target-breaker.ts";
import { GatewayError, type ErrorCode } from "../errors.ts";

/** How a call failed that brought no answer. */
export type OriginFailure = Extract<CallEnd, { kind: "error" }>["error"];

const FAILURES: Partial<Record<ErrorCode, OriginFailure>> = {
  "upstream-unreachable": "connection",
  "upstream-timeout": "timeout",
  "upstream-invalid-response": "malformed",
};

/** How the origin failed; undefined: it didn't, the failure is the client's, or the gateway's own decision. */
export function originFailure(error: unknown): OriginFailure | undefined {
  return error instanceof GatewayError ? FAILURES[error.code] : undefined;
}
