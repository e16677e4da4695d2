import { randomBytes } from "node:crypto";

/** RFC 6455 5.2. */
export const OPCODES = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** One frame, as it is on the wire. */
export interface Frame {
  readonly fin: boolean;
  /** The reserved bits, 0 to 7. */
  readonly rsv: number;
  readonly opcode: number;
  readonly payload: Buffer;
}

/** How a frame departs from an ordinary one. */
export interface FrameOptions {
  /** Default true. */
  readonly fin?: boolean;
  /** Default 0. */
  readonly rsv?: number;
  /** A client has to (RFC 6455 5.3), a server must not. Default false. */
  readonly isMasked?: boolean;
}

/** Writes a frame. */
export function encode(opcode: number, payload: Buffer | string, options: FrameOptions = {}): Buffer {
  const { fin = true, rsv = 0, isMasked = false } = options;
  const data = typeof payload === "string" ? Buffer.from(payload) : payload;
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const mask = isMasked ? 0x80 : 0;
  const length = Buffer.alloc(data.length > 65_535 ? 8 : data.length > 125 ? 2 : 0);
  if (length.length === 8) length.writeBigUInt64BE(BigInt(data.length));
  else if (length.length === 2) length.writeUInt16BE(data.length);
  head.push(mask | (length.length === 8 ? 127 : length.length === 2 ? 126 : data.length));
  if (!isMasked) return Buffer.concat([Buffer.from(head), length, data]);
  const key = randomBytes(4);
  return Buffer.concat([Buffer.from(head), length, key, masked(data, key)]);
}

/** A Close frame's payload: a code and a reason, or nothing. */
export function closePayload(code?: number, reason = ""): Buffer {
  if (code === undefined) return Buffer.alloc(0);
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code);
  payload.write(reason, 2);
  return payload;
}

/** What a Close frame says; 1005: nothing. */
export function readClose({ payload }: Frame): { readonly code: number; readonly reason: string } {
  if (payload.length < 2) return { code: 1005, reason: "" };
  return { code: payload.readUInt16BE(), reason: payload.subarray(2).toString() };
}

/** The first whole frame in some bytes, and how many it took; undefined: it is not whole yet. */
export function decode(bytes: Buffer): { readonly frame: Frame; readonly length: number } | undefined {
  if (bytes.length < 2) return undefined;
  const [first = 0, second = 0] = bytes;
  const short = second & 0x7f;
  const wide = short === 127 ? 8 : short === 126 ? 2 : 0;
  const maskAt = 2 + wide;
  const isMasked = (second & 0x80) !== 0;
  const start = maskAt + (isMasked ? 4 : 0);
  if (bytes.length < start) return undefined;
  const size = wide === 8 ? Number(bytes.readBigUInt64BE(2)) : wide === 2 ? bytes.readUInt16BE(2) : short;
  if (bytes.length < start + size) return undefined;
  const data = bytes.subarray(start, start + size);
  const payload = isMasked ? masked(data, bytes.subarray(maskAt, start)) : Buffer.from(data);
  return {
    frame: { fin: (first & 0x80) !== 0, rsv: (first >> 4) & 7, opcode: first & 15, payload },
    length: start + size,
  };
}

function masked(data: Buffer, key: Buffer): Buffer {
  const out = Buffer.allocUnsafe(data.length);
  for (let index = 0; index < data.length; index++) out[index] = (data[index] ?? 0) ^ (key[index % 4] ?? 0);
  return out;
}
