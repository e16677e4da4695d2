import { createHash, type Hash } from "node:crypto";
import { type BodyEnd, framingOf, readBody } from "../message-body.ts";
import { type HeaderLines, parseHead } from "../message-head.ts";
import type { Connection } from "../connection.ts";

/** One request as the origin received it, byte for byte where it matters. */
export interface SeenRequest {
  /** Which of the origin's connections carried it, counted from 1. */
  readonly connection: number;
  readonly method: string;
  /** The request target exactly as sent: path and query, nothing decoded. */
  readonly target: string;
  readonly headers: HeaderLines;
  /** The raw head, blank line included. */
  readonly rawHead: string;
  /** Bytes of body received so far. */
  readonly bodyBytes: number;
  /** How the body ended; undefined while it is still being read. */
  readonly bodyEnd: BodyEnd | undefined;
  /** SHA-256 of the body, hexadecimal; undefined until it ended. */
  readonly bodySha256: string | undefined;
  /** The body as text, kept only up to 64 KiB. */
  readonly bodyText: string;
}

const KEPT_BODY_BYTES = 65_536;

/** A request being received: its head is read, its body is read when the endpoint wants it. */
export class IncomingRequest implements SeenRequest {
  readonly connection: number;
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderLines;
  readonly rawHead: string;
  bodyBytes = 0;
  bodyEnd: BodyEnd | undefined;
  bodySha256: string | undefined;
  readonly #reader: Connection;
  readonly #hash: Hash = createHash("sha256");
  #kept = Buffer.alloc(0);

  private constructor(reader: Connection, raw: string, connection: number) {
    const head = parseHead(raw);
    const [method = "", target = "", version] = head.firstLine.split(" ");
    if (version !== "HTTP/1.1") throw new Error(`request line ${JSON.stringify(head.firstLine)}, wanted HTTP/1.1`);
    this.connection = connection;
    this.method = method;
    this.target = target;
    this.headers = head.headers;
    this.rawHead = raw;
    this.#reader = reader;
  }

  /** Reads the next head of a connection; undefined when the peer has no further request. */
  static async next(reader: Connection, connection: number): Promise<IncomingRequest | undefined> {
    const raw = await reader.until("\r\n\r\n");
    return raw === undefined ? undefined : new IncomingRequest(reader, raw.toString("latin1"), connection);
  }

  get bodyText(): string {
    return this.#kept.toString("utf8");
  }

  /** The target's path, without the query. */
  get path(): string {
    return this.target.split("?", 1)[0] ?? "";
  }

  /** One query parameter as a number. */
  number(name: string, fallback: number): number {
    const value = new URLSearchParams(this.target.slice(this.path.length)).get(name);
    return value === null ? fallback : Number(value);
  }

  /** Reads the body to its end; a second call answers the same at once. */
  async readBody(): Promise<BodyEnd> {
    if (this.bodyEnd !== undefined) return this.bodyEnd;
    const end = await readBody(this.#reader, framingOf(this.headers, { kind: "none" }), (piece) => this.#take(piece));
    this.bodySha256 = this.#hash.digest("hex");
    this.bodyEnd = end;
    return end;
  }

  #take(piece: Buffer): void {
    this.bodyBytes += piece.length;
    this.#hash.update(piece);
    if (this.#kept.length < KEPT_BODY_BYTES) {
      this.#kept = Buffer.concat([this.#kept, piece.subarray(0, KEPT_BODY_BYTES - this.#kept.length)]);
    }
  }
}
