import { createHash, randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { decode, encode, type Frame as ReadFrame } from "../web-socket/frames.ts";

/** A frame as it goes over the wire (RFC 6455 5.2), right or wrong. */
export interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
  /** Default true. */
  readonly fin?: boolean;
  /** The three reserved bits, as a number. Default 0. */
  readonly rsv?: number;
}

/** What the other side's frames come to. */
export type Arrival =
  | { readonly kind: "frame"; readonly frame: ReadFrame }
  /** `reset` is a connection that was torn down. */
  | { readonly kind: "end"; readonly how: "fin" | "reset" };

/** A client's end of a WebSocket on a plain socket, which sends whatever it is told to. */
export class RawWebSocket {
  /** Of the answer to the handshake, lower-cased. */
  readonly headers: ReadonlyMap<string, string>;
  readonly #socket: Socket;
  readonly #arrivals: Arrival[] = [];
  #waiting: ((arrival: Arrival) => void) | undefined;
  #bytes: Buffer;

  private constructor(socket: Socket, headers: ReadonlyMap<string, string>, rest: Buffer) {
    this.#socket = socket;
    this.headers = headers;
    this.#bytes = rest;
    socket.setNoDelay(true);
    socket.on("data", (data) => {
      this.#bytes = Buffer.concat([this.#bytes, data]);
      this.#read();
    });
    socket.once("end", () => this.#arrive({ kind: "end", how: "fin" }));
    socket.once("error", () => this.#arrive({ kind: "end", how: "reset" }));
    this.#read();
  }

  /** Rejects with the status line of an answer that is no 101. */
  static open(url: string, fields: readonly string[] = []): Promise<RawWebSocket> {
    const { hostname, port, pathname, search } = new URL(url);
    const key = randomBytes(16).toString("base64");
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    const lines = [
      `GET ${pathname}${search} HTTP/1.1`,
      `host: ${hostname}:${port}`,
      "upgrade: websocket",
      "connection: upgrade",
      "sec-websocket-version: 13",
      `sec-websocket-key: ${key}`,
      ...fields,
    ];
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    return new Promise((resolve, reject) => {
      let head = Buffer.alloc(0);
      const onData = (data: Buffer) => {
        head = Buffer.concat([head, data]);
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        socket.off("data", onData).off("error", reject);
        const [status = "", ...rest] = head.subarray(0, end).toString("latin1").split("\r\n");
        const headers = new Map(
          rest.map((line) => [
            line.slice(0, line.indexOf(":")).toLowerCase(),
            line.slice(line.indexOf(":") + 1).trim(),
          ]),
        );
        if (!status.includes(" 101 ") || headers.get("sec-websocket-accept") !== acceptOf(key)) {
          socket.destroy();
          return reject(new Error(status));
        }
        resolve(new RawWebSocket(socket, headers, head.subarray(end + 4)));
      };
      socket.on("data", onData).once("error", reject);
    });
  }

  /** @param chop how many bytes are written at a time; default all at once. */
  async send(frames: readonly Frame[], chop = Infinity): Promise<void> {
    const bytes = Buffer.concat(
      frames.map(({ opcode, payload, fin = true, rsv = 0 }) => encode(opcode, payload, { fin, rsv, isMasked: true })),
    );
    if (bytes.length <= chop) {
      this.#socket.write(bytes);
      return;
    }
    for (let at = 0; at < bytes.length; at += chop) {
      this.#socket.write(bytes.subarray(at, at + chop));
      // Else they would go out together.
      if (chop < 64) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The next thing that comes; undefined where nothing does for so long. */
  next(timeoutMs: number): Promise<Arrival | undefined> {
    const there = this.#arrivals.shift();
    if (there !== undefined) return Promise.resolve(there);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting = undefined;
        resolve(undefined);
      }, timeoutMs);
      this.#waiting = (arrival) => {
        clearTimeout(timer);
        resolve(arrival);
      };
    });
  }

  /** Stops reading, as somebody does who is too slow. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Tears the connection down. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #arrive(arrival: Arrival): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#arrivals.push(arrival);
    waiting?.(arrival);
  }

  #read(): void {
    for (;;) {
      const parsed = decode(this.#bytes);
      if (parsed === undefined) return;
      this.#bytes = this.#bytes.subarray(parsed.length);
      this.#arrive({ kind: "frame", frame: parsed.frame });
    }
  }
}

/** RFC 6455 4.2.2. */
function acceptOf(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}
