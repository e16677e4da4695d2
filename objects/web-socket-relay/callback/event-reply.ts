import { isSendable, type Close } from "../close-codes.ts";
import { decodeEvents, EVENTS_TYPE } from "./websocket-events.ts";

/** What a backend says to an event. */
export interface EventReply {
  /** For the client, in order. */
  readonly messages: readonly (string | ArrayBuffer)[];
  /** Undefined: the session goes on. */
  readonly close: Close | undefined;
  /** What comes back with every later event; null: nothing was said of it. */
  readonly state: string | null;
}

/** The fields in which an event speaks to its backend; none of them ever comes from a client. */
export const EVENT = {
  name: "x-sluice-event",
  session: "x-sluice-session",
  sequence: "x-sluice-sequence",
  state: "x-sluice-state",
  close: "x-sluice-close",
  /** In the gateway's own answer to an event that was sent: the backend may have heard it all the same. */
  lost: "x-sluice-lost",
} as const;

/** With every event it travels in a field. */
const MAX_STATE = 2_048;

/**
 * Reads the answer to an event: its body is a message, text unless its type says otherwise, or several as `application/websocket-events`.
 *
 * @throws RangeError for more bytes than `maxBytes`, or of a state; TypeError for events or a close that cannot be read.
 */
export async function readReply(answer: Response, maxBytes: number): Promise<EventReply> {
  const body = await bytesOf(answer, maxBytes);
  const type = answer.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "text/plain";
  const messages = type === EVENTS_TYPE ? decodeEvents(body) : oneOf(body, type);
  if (messages === undefined) throw new TypeError(`the body is not ${EVENTS_TYPE}`);
  const state = answer.headers.get(EVENT.state);
  // Half of a state is none: the backend would get back what it has never said.
  if (state !== null && state.length > MAX_STATE) throw new RangeError(`the state has more than ${MAX_STATE} bytes`);
  return { messages, close: closeOf(answer.headers.get(EVENT.close)), state };
}

function oneOf(body: ArrayBuffer, type: string): (string | ArrayBuffer)[] {
  if (body.byteLength === 0) return [];
  const isText = type.startsWith("text/") || type.endsWith("json");
  return [isText ? new TextDecoder("utf-8", { fatal: false, ignoreBOM: true }).decode(body) : body];
}

/** How a backend wants a session to be closed; undefined: it does not. @throws TypeError for what is no close. */
export function closeOf(field: string | null): Close | undefined {
  if (field === null) return undefined;
  const [, code, reason = ""] = /^(\d{4})(?: (.*))?$/.exec(field) ?? [];
  if (code === undefined || !isSendable(Number(code))) {
    throw new TypeError(`${EVENT.close}: got ${JSON.stringify(field)}, wanted a code that may be sent and a reason`);
  }
  return { code: Number(code), reason };
}

async function bytesOf({ body }: Response, maxBytes: number): Promise<ArrayBuffer> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  if (body === null) return new ArrayBuffer(0);
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw new RangeError(`the answer has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return new Blob(chunks).arrayBuffer();
}
