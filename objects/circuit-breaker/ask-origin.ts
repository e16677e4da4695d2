import type { HealthAnswer, HealthQuestion } from "./health-messages.ts";

/** Reaches targets on an object's behalf: the gateway's inner entrypoint. */
export interface HealthChecker {
  checkHealth(question: HealthQuestion): Promise<HealthAnswer>;
}

/** On top of a check's own timeout, which the checker keeps. */
const GRACE_MS = 1_000;

/** Has a target checked. Never rejects, and ends in time whatever becomes of the checker: a fault of ours is not the target's. */
export function askOrigin(origin: HealthChecker, question: HealthQuestion, timeoutMs: number): Promise<HealthAnswer> {
  return new Promise((resolve) => {
    const late = () => resolve(unknown("the gateway's own check did not end in time"));
    const timer = setTimeout(late, timeoutMs + GRACE_MS);
    answerOf(origin, question).then((answer) => {
      clearTimeout(timer);
      resolve(answer);
    }, late);
  });
}

async function answerOf(origin: HealthChecker, question: HealthQuestion): Promise<HealthAnswer> {
  try {
    return await origin.checkHealth(question);
  } catch (error) {
    return unknown(error instanceof Error ? error.message : String(error));
  }
}

function unknown(detail: string): HealthAnswer {
  return { kind: "unknown", detail: detail.slice(0, 200) };
}
