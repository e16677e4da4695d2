import type { Sendable } from "./copies.ts";
import { utf8Length } from "./platform.ts";

/** What a WebSocket sends for it, as it is now: a buffer may be written to as soon as it is sent. What is nothing else is a text. */
export function sendableOf(data: Sendable | ArrayBufferView): Sendable {
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice().buffer;
  }
  if (isBuffer(data)) return data.slice(0);
  if (isBlob(data)) return data;
  // oxlint-disable-next-line typescript/no-unnecessary-template-expression -- scripts without types send other things too
  return `${data}`;
}

/** Bytes of a message. */
export function sizeOf(message: Sendable): number {
  if (typeof message === "string") return utf8Length(message);
  return isBuffer(message) ? message.byteLength : message.size;
}

/** Of any frame of a page, whose `ArrayBuffer` is another one. */
function isBuffer(data: unknown): data is ArrayBuffer {
  return Object.prototype.toString.call(data) === "[object ArrayBuffer]";
}

function isBlob(data: unknown): data is Blob {
  return /^\[object (?:Blob|File)\]$/.test(Object.prototype.toString.call(data));
}
