import { type HeaderLines, valueOf, valuesOf } from "./message-head.ts";
import type { Connection } from "./connection.ts";

/**
 * How a body ended. `length` and `last-chunk` are whole; `none` is a message without a body; `close` ended with the
 * connection and cannot be told from a cut one; the others are visibly incomplete or broken.
 */
export type BodyEnd = "none" | "length" | "last-chunk" | "close" | "cut" | "reset" | "malformed";

/** How the message says its body is framed. */
export type Framing = { kind: "none" } | { kind: "length"; bytes: number } | { kind: "chunked" } | { kind: "close" };

/** Whether the message has a body that arrived as promised. */
export function isWhole(end: BodyEnd): boolean {
  return end === "none" || end === "length" || end === "last-chunk";
}

/** The framing that the headers declare; `fallback` when they declare none. Throws when they contradict each other. */
export function framingOf(headers: HeaderLines, fallback: Framing): Framing {
  const length = valueOf(headers, "content-length");
  const coding = valuesOf(headers, "transfer-encoding").join(", ");
  if (coding !== "" && length !== undefined) throw new Error("both Content-Length and Transfer-Encoding");
  if (coding.toLowerCase() === "chunked") return { kind: "chunked" };
  if (coding !== "") throw new Error(`transfer coding ${coding}, wanted chunked`);
  if (length === undefined) return fallback;
  if (!/^\d+$/.test(length)) throw new Error(`Content-Length ${length}, wanted digits`);
  return { kind: "length", bytes: Number(length) };
}

/** Reads one body, hands each piece to `onBytes` (awaited: a slow taker slows the sender) and says how it ended. */
export async function readBody(
  reader: Connection,
  framing: Framing,
  onBytes: (piece: Buffer) => void | Promise<void>,
): Promise<BodyEnd> {
  switch (framing.kind) {
    case "none":
      return "none";
    case "length":
      return (await readExactly(reader, framing.bytes, onBytes)) ? "length" : endOf(reader);
    case "chunked":
      return readChunks(reader, onBytes);
    case "close":
      await readExactly(reader, Number.POSITIVE_INFINITY, onBytes);
      return reader.silence === "reset" ? "reset" : "close";
  }
}

async function readChunks(reader: Connection, onBytes: (piece: Buffer) => void | Promise<void>): Promise<BodyEnd> {
  for (;;) {
    const line = await reader.until("\r\n");
    if (line === undefined) return endOf(reader);
    const size = /^([0-9a-f]{1,12})(?:;[^\r\n]*)?\r\n$/i.exec(line.toString("latin1"))?.[1];
    if (size === undefined) return "malformed";
    const bytes = Number.parseInt(size, 16);
    if (bytes > 0 && !(await readExactly(reader, bytes, onBytes))) return endOf(reader);
    const tail = await reader.until("\r\n");
    if (tail === undefined) return endOf(reader);
    if (bytes === 0) return tail.length === 2 ? "last-chunk" : readTrailers(reader);
    if (tail.length !== 2) return "malformed";
  }
}

async function readTrailers(reader: Connection): Promise<BodyEnd> {
  for (;;) {
    const line = await reader.until("\r\n");
    if (line === undefined) return endOf(reader);
    if (line.length === 2) return "last-chunk";
  }
}

async function readExactly(
  reader: Connection,
  bytes: number,
  onBytes: (piece: Buffer) => void | Promise<void>,
): Promise<boolean> {
  for (let left = bytes; left > 0;) {
    const piece = await reader.some(left);
    if (piece.length === 0) return false;
    left -= piece.length;
    await onBytes(piece);
  }
  return true;
}

function endOf(reader: Connection): BodyEnd {
  return reader.silence === "reset" ? "reset" : "cut";
}
