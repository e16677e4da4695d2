import { GatewayError, type ErrorCode } from "../../errors.ts";
import type { OriginFailure } from "../answer.ts";

/** Ends that are the origin's doing. One that is left alone by its breaker, is asked enough already, or has no target, is as good as gone. */
const FAILURES: ReadonlyMap<ErrorCode, OriginFailure> = new Map([
  ["upstream-unreachable", "unreachable"],
  ["breaker-open", "unreachable"],
  ["no-healthy-target", "unreachable"],
  ["overloaded", "unreachable"],
  ["egress-queue-full", "unreachable"],
  ["upstream-timeout", "timeout"],
  ["upstream-invalid-response", "error-status"],
  ["upstream-error", "error-status"],
]);

/** How the origin failed, by what ended the exchange; undefined: that was not the origin's doing. */
export function originTrouble(error: unknown): OriginFailure | undefined {
  return error instanceof GatewayError ? FAILURES.get(error.code) : undefined;
}
