import { Connection } from "./connection.ts";
import { type BodyEnd, type Framing, framingOf, readBody } from "./message-body.ts";
import { type HeaderLines, parseHead } from "./message-head.ts";
import { type RawRequest, request } from "./raw-request.ts";

/** What a client received for one request, nothing repaired. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: HeaderLines;
  /** The raw head, blank line included. */
  readonly rawHead: string;
  /** Statuses of the interim (1xx) answers that came before. */
  readonly interim: readonly number[];
  readonly body: Buffer;
  /** Whether the body is whole, and by which rule. */
  readonly end: BodyEnd;
}

/** A request head to be sent as it is; see `request` for building one. */
export interface ReadOptions {
  /** The request's method: an answer to HEAD has no body. Default GET. */
  readonly method?: string;
  /** Takes the body piece by piece instead of collecting it; awaited, so a slow taker slows the gateway. */
  readonly onBytes?: (piece: Buffer) => void | Promise<void>;
}

/** A raw HTTP/1.1 client on one socket: it sends exactly the bytes it is given and reads answers strictly. */
export class RawClient {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Connects to a gateway. */
  static async open(url: string): Promise<RawClient> {
    return new RawClient(await Connection.open(url));
  }

  /** Sends bytes (text as latin1); false when the gateway has closed. */
  send(bytes: string | Buffer): Promise<boolean> {
    return this.#connection.send(bytes);
  }

  /**
   * Reads one answer to its end. Undefined when the connection ended before a whole head; throws when what came is not
   * HTTP/1.1.
   */
  async answer(options: ReadOptions = {}): Promise<RawAnswer | undefined> {
    const interim: number[] = [];
    for (;;) {
      const raw = (await this.#connection.until("\r\n\r\n"))?.toString("latin1");
      if (raw === undefined) return undefined;
      const { firstLine, headers } = parseHead(raw);
      const status = Number(/^HTTP\/1\.[01] (\d{3}) [^\r\n]*$/.exec(firstLine)?.[1]);
      if (Number.isNaN(status)) throw new Error(`status line ${JSON.stringify(firstLine)}, wanted HTTP/1.x NNN reason`);
      if (status < 200 && status !== 101) {
        interim.push(status);
        continue;
      }
      const pieces: Buffer[] = [];
      const take = options.onBytes ?? ((piece: Buffer): void => void pieces.push(piece));
      const end = await readBody(this.#connection, responseFraming(status, headers, options.method), take);
      return { status, headers, rawHead: raw, interim, body: Buffer.concat(pieces), end };
    }
  }

  /** Everything that comes until the gateway closes, as latin1. */
  async rest(): Promise<string> {
    const pieces: Buffer[] = [];
    await readBody(this.#connection, { kind: "close" }, (piece) => void pieces.push(piece));
    return Buffer.concat(pieces).toString("latin1");
  }

  /** Breaks the connection with a TCP reset, as a crashing client or a middlebox does. */
  reset(): void {
    this.#connection.reset();
  }

  /** Ends the client's side with a FIN, as a client that closes politely does. */
  finish(): void {
    this.#connection.finish();
  }

  /** Closes the connection. */
  close(): void {
    this.#connection.destroy();
  }
}

/** Sends one request's exact bytes on a connection of its own and reads the answer. */
export async function exchange(
  url: string,
  bytes: string | Buffer,
  options: ReadOptions = {},
): Promise<RawAnswer | undefined> {
  const client = await RawClient.open(url);
  try {
    // An answer may come before the whole request was taken, so the sending is not waited for.
    void client.send(bytes);
    return await client.answer(options);
  } finally {
    client.close();
  }
}

/** Asks one well-formed request and reads its whole answer; throws when there is none. */
export async function ask(url: string, options: RawRequest): Promise<RawAnswer> {
  const answer = await exchange(url, request(options), options.method === undefined ? {} : { method: options.method });
  if (answer === undefined) throw new Error(`the connection ended without an answer to ${options.target}`);
  return answer;
}

/** RFC 9112 section 6.3: what decides whether and how a response has a body. */
function responseFraming(status: number, headers: HeaderLines, method = "GET"): Framing {
  if (method === "HEAD" || status === 204 || status === 304 || status === 101) return { kind: "none" };
  return framingOf(headers, { kind: "close" });
}
