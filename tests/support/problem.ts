import { type RawAnswer } from "./raw-client.ts";
import { valueOf } from "./message-head.ts";

/** A problem document as a client sees it. */
export interface Problem {
  readonly status: number;
  readonly code: string;
}

/**
 * Reads an answer as the gateway's own problem document (RFC 9457). Undefined when it is something else, such as an
 * origin's answer or a refusal by the runtime itself. Throws when a problem document breaks what all of them promise.
 */
export function problemOf(answer: RawAnswer): Problem | undefined {
  if (valueOf(answer.headers, "content-type") !== "application/problem+json") return undefined;
  const problem: Record<string, unknown> = JSON.parse(answer.body.toString("utf8"));
  const { type, title, status, detail, code, requestId } = problem;
  const isText = [type, title, detail, code, requestId].every((member) => typeof member === "string" && member !== "");
  if (!isText || typeof code !== "string" || typeof status !== "number") {
    throw new Error(`incomplete problem document ${JSON.stringify(problem)}`);
  }
  if (status !== answer.status) throw new Error(`the document says ${status}, the status line ${answer.status}`);
  if (requestId !== valueOf(answer.headers, "x-request-id")) throw new Error("the document and X-Request-ID disagree");
  if (valueOf(answer.headers, "cache-control") !== "no-store") throw new Error("a problem document may be stored");
  return { status, code };
}
