import type { Socket } from "node:net";
import { closePayload, decode, encode, OPCODES, readClose, type Frame, type FrameOptions } from "./frames.ts";

/** How a side of a WebSocket ended, as its peer saw it. */
export interface PeerEnd {
  /** Of the Close frame that came; 1006: none did, 1005: an empty one. */
  readonly code: number;
  readonly reason: string;
  /** What became of the connection. */
  readonly by: "fin" | "reset";
}

/** A message or a Close frame, in short. */
export type Heard =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "binary"; readonly bytes: number }
  | { readonly kind: "ping" | "pong"; readonly text: string }
  | { readonly kind: "close"; readonly code: number; readonly reason: string };

/**
 * One side of a WebSocket on a raw socket: sends exactly the frames that it is told to, repairs nothing, answers nothing by itself
 * unless `behave` says so, and keeps what comes.
 */
export class Peer {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  readonly #isClient: boolean;
  /** Pieces that no frame has been made of yet: joined only when enough is there, or a large frame would be copied for each. */
  #pieces: Buffer[] = [];
  #pending = 0;
  #needed = 2;
  #read = 0;
  #waiters: (() => void)[] = [];
  #end: PeerEnd["by"] | undefined;
  #isCounting = false;
  #hasClosed = false;
  #isClosed = false;
  onFrame: ((frame: Frame) => void) | undefined;
  /** Bytes of payload that came. */
  received = 0;

  constructor(socket: Socket, isClient: boolean, first: Buffer) {
    this.socket = socket;
    this.#isClient = isClient;
    socket.setNoDelay(true);
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
    socket.on("end", () => this.#ended("fin"));
    socket.on("error", () => this.#ended("reset"));
    socket.on("close", () => this.#ended("reset"));
    if (first.length > 0) this.#take(first);
    socket.resume();
  }

  /** Sends one frame; false when the kernel has taken enough for now. */
  frame(opcode: number, payload: Buffer | string, options: FrameOptions = {}): boolean {
    return this.socket.write(encode(opcode, payload, { isMasked: this.#isClient, ...options }));
  }

  /** Sends binary frames as fast as they are taken, until all are, a Close has come or the connection has ended. */
  async flood(total: number, size: number): Promise<void> {
    for (let sent = 0; sent < total && !this.isEnded && !this.#isClosed; sent += size) {
      if (this.frame(OPCODES.binary, Buffer.alloc(size))) continue;
      // "close" follows an error too.
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.socket.off("drain", done).off("close", done);
          resolve();
        };
        this.socket.on("drain", done).on("close", done);
        if (this.socket.destroyed) done();
      });
    }
  }

  text(text: string): boolean {
    return this.frame(OPCODES.text, text);
  }

  binary(bytes: Buffer): boolean {
    return this.frame(OPCODES.binary, bytes);
  }

  /** Sends a Close frame, without a code an empty one. */
  close(code?: number, reason?: string): void {
    this.#hasClosed = true;
    this.frame(OPCODES.close, closePayload(code, reason));
  }

  /** Sends bytes as they are. */
  raw(bytes: Buffer): boolean {
    return this.socket.write(bytes);
  }

  /** Does as a sound endpoint does: answers pings and closes, and ends its connection after a Close both ways, if it is a server. */
  behave(): this {
    const answer = (frame: Frame): void => {
      if (frame.opcode === OPCODES.ping) this.frame(OPCODES.pong, frame.payload);
      if (frame.opcode !== OPCODES.close) return;
      this.#isClosed = true;
      if (!this.#hasClosed) this.frame(OPCODES.close, frame.payload.subarray(0, 2));
      if (!this.#isClient) this.socket.end();
    };
    for (const frame of this.frames) answer(frame);
    this.onFrame = answer;
    return this;
  }

  /** Keeps no frames, only how many bytes came. */
  countOnly(): this {
    this.#isCounting = true;
    return this;
  }

  /** The next frame that has not been read; throws when none comes any more. */
  async next(): Promise<Frame> {
    await this.#until(() => this.frames.length > this.#read || this.#end !== undefined);
    const frame = this.frames[this.#read];
    if (frame === undefined) throw new Error(`the connection ended (${this.#end}) before another frame`);
    this.#read += 1;
    return frame;
  }

  /** The next frame in short. */
  async hear(): Promise<Heard> {
    return heard(await this.next());
  }

  /** Waits until so many bytes of payload have come. */
  async receive(bytes: number): Promise<void> {
    await this.#until(() => this.received >= bytes || this.#end !== undefined);
    if (this.received < bytes) throw new Error(`the connection ended after ${this.received} of ${bytes} bytes`);
  }

  /** How it ended: waits for the end of the connection. */
  async ended(): Promise<PeerEnd> {
    await this.#until(() => this.#end !== undefined);
    const close = this.frames.find(({ opcode }) => opcode === OPCODES.close);
    const { code, reason } = close === undefined ? { code: 1006, reason: "" } : readClose(close);
    return { code, reason, by: this.#end ?? "reset" };
  }

  get isEnded(): boolean {
    return this.#end !== undefined;
  }

  finish(): void {
    this.socket.end();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #take(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.#pending += bytes.length;
    if (this.#pending < this.#needed) return;
    let rest = Buffer.concat(this.#pieces);
    for (let found = decode(rest); found !== undefined; found = decode(rest)) {
      rest = rest.subarray(found.length);
      const { frame } = found;
      this.received += frame.payload.length;
      if (!this.#isCounting || frame.opcode === OPCODES.close) this.frames.push(frame);
      this.onFrame?.(frame);
    }
    this.#pieces = [rest];
    this.#pending = rest.length;
    this.#needed = neededFor(rest);
    this.#wake();
  }

  #ended(by: PeerEnd["by"]): void {
    this.#end ??= by;
    this.#wake();
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }

  async #until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }
}

/** What a frame is, in short. */
export function heard(frame: Frame): Heard {
  const { opcode, payload } = frame;
  switch (opcode) {
    case OPCODES.text:
      return { kind: "text", text: payload.toString() };
    case OPCODES.binary:
      return { kind: "binary", bytes: payload.length };
    case OPCODES.close:
      return { kind: "close", ...readClose(frame) };
    case OPCODES.ping:
      return { kind: "ping", text: payload.toString() };
    case OPCODES.pong:
      return { kind: "pong", text: payload.toString() };
    default:
      throw new Error(`a frame with opcode ${opcode}`);
  }
}

/** So many bytes have to be there before there can be another frame. */
function neededFor(rest: Buffer): number {
  if (rest.length < 2) return 2;
  const [, second = 0] = rest;
  const short = second & 0x7f;
  const wide = short === 127 ? 8 : short === 126 ? 2 : 0;
  const head = 2 + wide + ((second & 0x80) === 0 ? 0 : 4);
  if (rest.length < head) return head;
  return head + (wide === 8 ? Number(rest.readBigUInt64BE(2)) : wide === 2 ? rest.readUInt16BE(2) : short);
}
