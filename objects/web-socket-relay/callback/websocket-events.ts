/** The content type of several messages in one body, after Pushpin's WebSocket-over-HTTP: `TEXT 5\r\nhello\r\n`, sizes in hex. */
export const EVENTS_TYPE = "application/websocket-events";

const encoder = new TextEncoder();
const LINE = /^(TEXT|BINARY) ([0-9a-fA-F]{1,7})$/;
const MAX_LINE = 16;

/** Writes messages in order. */
export function encodeEvents(messages: readonly (string | ArrayBuffer)[]): Blob {
  return new Blob(
    messages.flatMap((message) => {
      const bytes = typeof message === "string" ? encoder.encode(message) : message;
      const kind = typeof message === "string" ? "TEXT" : "BINARY";
      return [`${kind} ${bytes.byteLength.toString(16)}\r\n`, bytes, "\r\n"];
    }),
  );
}

/** Reads messages; undefined: it is not what the type says. */
export function decodeEvents(body: ArrayBuffer): (string | ArrayBuffer)[] | undefined {
  const bytes = new Uint8Array(body);
  const messages: (string | ArrayBuffer)[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.subarray(at, at + MAX_LINE).indexOf(13);
    const line = String.fromCharCode(...bytes.subarray(at, at + Math.max(0, end)));
    const [, kind, size = ""] = LINE.exec(line) ?? [];
    const start = at + end + 2;
    const stop = start + Number.parseInt(size, 16);
    if (kind === undefined || !isBreak(bytes, at + end) || !isBreak(bytes, stop)) return undefined;
    const content = body.slice(start, stop);
    messages.push(
      kind === "TEXT" ? new TextDecoder("utf-8", { fatal: false, ignoreBOM: true }).decode(content) : content,
    );
    at = stop + 2;
  }
  return messages;
}

function isBreak(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 13 && bytes[at + 1] === 10;
}
