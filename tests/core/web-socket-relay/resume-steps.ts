import type { ResumeRules } from "../../../objects/web-socket-relay/resume/resume-rules.ts";
import type { ResumeSession } from "../../../objects/web-socket-relay/resume/resume-session.ts";
import type { PassedMessage } from "../../../objects/web-socket-relay/resume/ring.ts";
import { createResumeSession } from "../../../objects/web-socket-relay/resume/session.ts";

/** When every session begins, in ms since the epoch. */
export const START = 1_790_000_000_000;
/** Whom it is bound to. */
export const OWNER = "route and principal";
/** A ring that is soon full. */
export const RULES: ResumeRules = { holdMs: 30_000, ring: { messages: 4, bytes: 100 }, control: false, stored: false };
/** The refusal of one that cannot be resumed, but for its reason. */
export const GONE = { kind: "refused", code: 4410 };

/** A session whose client is connected. */
export function open(changes: Partial<ResumeRules> = {}): ResumeSession {
  return createResumeSession({ epoch: "e", owner: OWNER, rules: { ...RULES, ...changes } }, START);
}

/** Messages for the client, each of `bytes`; what becomes of them. */
export function feed(session: ResumeSession, messages: string, bytes = 1): string[] {
  return messages.split("").map((data) => session.toClient({ data, bytes }, START));
}

/** What a client gets that has received so many, or its refusal. */
export function replayed(session: ResumeSession, recv: number, now = START): string | object {
  const reply = session.attach({ owner: OWNER, recv }, now);
  return reply.kind === "attached" ? reply.replay.map(textOf).join("") : reply;
}

function textOf({ data }: PassedMessage): string {
  return typeof data === "string" ? data : "binary";
}

/** Its client sends so many messages. */
export function sends(session: ResumeSession, count: number, now = START): void {
  for (let sent = 0; sent < count; sent += 1) session.fromClient(session.connection, now);
}
