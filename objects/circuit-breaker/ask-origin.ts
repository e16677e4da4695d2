import type { HealthAnswer, HealthQuestion } from "./health-messages.ts";

/** Reaches targets on an object's behalf: the gateway's inner entrypoint. */
export interface HealthChecker {
  checkHealth(question: HealthQuestion): Promise<HealthAnswer>;
}

/** On top of a check's own timeout, which the checker keeps. */
const GRACE_MS = 1_000;

/** Has a target checked. Never rejects, and ends in time whatever becomes of the checker: a fault of ours is not the target's. */
export async function askOrigin(
  origin: HealthChecker,
  question: HealthQuestion,
  timeoutMs: number,
): Promise<HealthAnswer> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<HealthAnswer>((resolve) => {
    timer = setTimeout(() => resolve(unknown("the gateway's own check did not end in time")), timeoutMs + GRACE_MS);
  });
  try {
    return await Promise.race([origin.checkHealth(question), late]);
  } catch (error) {
    return unknown(error instanceof Error ? error.message : String(error));
  } finally {
    clearTimeout(timer);
  }
}

function unknown(detail: string): HealthAnswer {
  return { kind: "unknown", detail: detail.slice(0, 200) };
}
