import type { Copies, Sendable } from "./copies.ts";
import type { SessionStatus } from "./session-status.ts";

export const RESUMES_NONE = "the connection is lost, and this route resumes none";
export const NOBODY_KNOWS = "whoever answers here knows nothing of this session";

/** What has to be sent again, of a session that goes on; a text: why it cannot. @param before what was known of it. */
export function resumptionOf(
  status: Pick<SessionStatus, "epoch" | "recv">,
  before: Pick<SessionStatus, "epoch"> | undefined,
  copies: Copies,
): readonly Sendable[] | string {
  if (before !== undefined && before.epoch !== status.epoch) return "the gateway has another session under this name";
  const resumption = copies.resume(status.recv);
  return resumption.kind === "resend" ? resumption.messages : "what the gateway has not got is not kept any more";
}
