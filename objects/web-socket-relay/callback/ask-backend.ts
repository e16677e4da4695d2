import { OPENING } from "../opening.ts";
import { EVENT } from "./event-reply.ts";
import type { StoredCallback } from "./stored-callback.ts";

/** What a backend is asked. */
export interface Event {
  readonly name: "connect" | "message" | "disconnect";
  readonly headers?: Headers;
  readonly body: string | ArrayBuffer | Blob | null;
  readonly close?: string;
}

/**
 * Asks the backend by the tail of the route, as any request. The answer is read by `read`, within the handshake's time.
 *
 * @param sequence null: nobody knows it any more.
 */
export type AskBackend = <Reply>(
  stored: StoredCallback,
  sequence: number | null,
  asked: Event,
  read: (answer: Response) => Promise<Reply>,
) => Promise<Reply>;

const GRACE_MS = 1_000;

/** Of the handshake with the gateway, not of the client's request. */
const HANDSHAKE_FIELDS = [
  OPENING,
  "connection",
  "upgrade",
  "sec-websocket-key",
  "sec-websocket-version",
  "sec-websocket-extensions",
];

/** What of a handshake says something of its client. */
export function clientFields(handshake: Headers): Headers {
  const headers = new Headers(handshake);
  for (const name of HANDSHAKE_FIELDS) headers.delete(name);
  return headers;
}

/** @param session its id. */
export function createAskBackend(exports: Cloudflare.Exports, session: string): AskBackend {
  return async function ask(stored, sequence, asked, read) {
    const { name, headers = new Headers(), body, close } = asked;
    const { route, requestId, client, placement, handshakeMs } = stored.opening;
    const event = {
      [EVENT.name]: name,
      [EVENT.session]: session,
      ...(sequence !== null && { [EVENT.sequence]: String(sequence) }),
      ...(stored.state !== null && { [EVENT.state]: stored.state }),
      ...(close !== undefined && { [EVENT.close]: close }),
    };
    const props = { route, requestId, client, event, ...(placement !== undefined && { placement }) };
    // What is compressed would come here as it is.
    headers.set("accept-encoding", "identity");
    const late = new AbortController();
    // Not by a signal's own timeout, which goes on when all is done, and keeps the object awake.
    const timer = setTimeout(() => late.abort(), handshakeMs + GRACE_MS);
    try {
      const request = new Request(stored.url, { method: "POST", headers, body });
      return await read(await exports.Origin({ props }).fetch(request, { signal: late.signal }));
    } finally {
      clearTimeout(timer);
    }
  };
}
