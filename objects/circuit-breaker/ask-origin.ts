import type { Within } from "../deadlines.ts";
import type { HealthAnswer, HealthQuestion } from "./health-messages.ts";

/** Reaches targets on an object's behalf: the gateway's inner entrypoint. */
export interface HealthChecker {
  checkHealth(question: HealthQuestion): Promise<HealthAnswer>;
}

/** On top of a check's own timeout, which the checker keeps. */
const GRACE_MS = 1_000;

/** Has a target checked. Never rejects, and ends in time whatever becomes of the checker: a fault of ours is not the target's. */
export async function askOrigin(
  { origin, within }: { readonly origin: HealthChecker; readonly within: Within },
  question: HealthQuestion,
  timeoutMs: number,
): Promise<HealthAnswer> {
  try {
    return await within(origin.checkHealth(question), timeoutMs + GRACE_MS, late);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { kind: "unknown", detail: detail.slice(0, 200) };
  }
}

function late(): Error {
  return new Error("the gateway's own check did not end in time");
}
