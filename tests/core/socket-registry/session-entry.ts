import type { SessionDescription } from "../../../objects/web-socket-relay/session-control.ts";

/** A session as a relay tells of it, but for what is given. */
export function description(id: string, changes: Partial<SessionDescription> = {}): SessionDescription {
  return {
    id,
    route: "chat",
    principal: null,
    address: "192.0.2.7",
    origin: null,
    protocol: null,
    extensions: null,
    mode: "bridge",
    state: "open",
    openedAt: 1_790_000_000_000,
    lastInAt: null,
    lastOutAt: null,
    messagesIn: 0,
    messagesOut: 0,
    bytesIn: 0,
    bytesOut: 0,
    queuedBytes: 0,
    resumes: 0,
    replayed: 0,
    reconnects: 0,
    upstream: "http://backend.test",
    closeCode: null,
    ...changes,
  };
}

/** The id of an object, which ends in this letter. */
export function objectId(letter: string): string {
  return letter.padStart(64, "0");
}
