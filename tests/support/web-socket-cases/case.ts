import { OPCODES } from "../web-socket/frames.ts";
import type { Frame } from "./raw-web-socket.ts";

/**
 * One case against a server that echoes, after a family of the Autobahn Testsuite: what is sent, and what has to come back.
 * Where `closes` is set, the other side has to end the connection by itself, after what is expected or a beginning of it.
 */
export interface Case {
  readonly id: string;
  readonly frames: readonly Frame[];
  /** Bytes written at a time; default all at once. */
  readonly chop?: number;
  /** Messages and pongs that come back, in order. */
  readonly expect: readonly Echo[];
  /** `fails`: by a protocol error. `answers`: with a Close frame, since it got one. */
  readonly closes?: "fails" | "answers";
  /** Of the Close frame that answers; empty where it has none. */
  readonly code?: number;
  /** Whether messages are compressed (RFC 7692), each by itself. Default false. */
  readonly isDeflated?: boolean;
  /** What is offered of it; default nothing that either side would have to keep. */
  readonly offer?: string;
}

export interface Echo {
  readonly kind: "text" | "binary" | "pong";
  readonly payload: Buffer;
}

export function text(payload: string | Buffer, more: Partial<Frame> = {}): Frame {
  return { opcode: OPCODES.text, payload: Buffer.from(payload), ...more };
}

export function binary(payload: Buffer, more: Partial<Frame> = {}): Frame {
  return { opcode: OPCODES.binary, payload, ...more };
}

export function more(payload: string | Buffer, fin: boolean): Frame {
  return { opcode: OPCODES.continuation, payload: Buffer.from(payload), fin };
}

export function ping(payload: string | Buffer = "", rest: Partial<Frame> = {}): Frame {
  return { opcode: OPCODES.ping, payload: Buffer.from(payload), ...rest };
}

export function pong(payload: string | Buffer = "", rest: Partial<Frame> = {}): Frame {
  return { opcode: OPCODES.pong, payload: Buffer.from(payload), ...rest };
}

/** @param code undefined: a Close frame without one. */
export function close(code?: number, reason: string | Buffer = "", rest: Partial<Frame> = {}): Frame {
  if (code === undefined) return { opcode: OPCODES.close, payload: Buffer.alloc(0), ...rest };
  const start = Buffer.alloc(2);
  start.writeUInt16BE(code);
  return { opcode: OPCODES.close, payload: Buffer.concat([start, Buffer.from(reason)]), ...rest };
}

export function echo(payload: string | Buffer, kind: Echo["kind"] = "text"): Echo {
  return { kind, payload: Buffer.from(payload) };
}

/** A message cut into frames of so many bytes. */
export function cut(payload: Buffer, size: number, opcode: number = OPCODES.text): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at === 0 || at < payload.length; at += size) {
    const part = payload.subarray(at, at + size);
    frames.push({ opcode: at === 0 ? opcode : OPCODES.continuation, payload: part, fin: at + size >= payload.length });
  }
  return frames;
}
