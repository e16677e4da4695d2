import type { Opening } from "./opening.ts";
import type { SessionDescription } from "./session-control.ts";
import { countEnd } from "./told-counts.ts";

/** How a session ended. */
export interface SessionEnd {
  /** `unseen`: nobody can tell. */
  readonly by: "client" | "upstream" | "gateway" | "unseen";
  /** What was said first; null: nothing. */
  readonly code: number | null;
  /** Which limit of the gateway ended it, if one did. */
  readonly why?: "rateLimited" | "budgetClosed";
}

/** How a session ends that the gateway closes for what a side has sent: 1008 says too many messages, 1013 too much data. */
export function refusalEnd(code: number | undefined): SessionEnd {
  const why = code === 1008 ? "rateLimited" : code === 1013 ? "budgetClosed" : undefined;
  return { by: "gateway", code: code ?? null, ...(why !== undefined && { why }) };
}

/** Counts a session that has ended, and writes its one line. @param more what else is known of it. */
export function logSession(opening: Opening, session: SessionDescription, end: SessionEnd, more: object): void {
  countEnd(session, end);
  const { by, code } = end;
  const { requestId, client } = opening;
  const { id, route, mode, openedAt, protocol, upstream } = session;
  const line = {
    level: "info",
    message: "web-socket",
    time: new Date(openedAt).toISOString(),
    requestId,
    session: id,
    route,
    mode,
    endedBy: by,
    closeCode: code,
    durationMs: Date.now() - openedAt,
    ...more,
    protocol: protocol ?? undefined,
    target: upstream ?? undefined,
    client: client.address,
  };
  console.log(JSON.stringify(line));
}

/** What passed, for the line of a session whose messages were counted. */
export function countsOf(session: SessionDescription): object {
  const { messagesIn, messagesOut, bytesIn, bytesOut, resumes, replayed, reconnects } = session;
  const returns = resumes + reconnects === 0 ? {} : { resumes, replayed, reconnects };
  return { messagesIn, messagesOut, bytesIn, bytesOut, ...returns };
}

/** Says that something of a session has come to nothing. */
export function warn(session: string, event: string, more: object): void {
  console.warn(JSON.stringify({ level: "warn", event, time: new Date().toISOString(), session, ...more }));
}
