/** A request to be written as exact bytes. */
export interface RawRequest {
  /** Default GET. */
  readonly method?: string;
  /** The request target exactly as it shall stand on the wire. */
  readonly target: string;
  /** Default `gateway.test`; `null` sends none. */
  readonly host?: string | null;
  /** Header lines, each `Name: value`, sent as they are. */
  readonly headers?: readonly string[];
  /** A body with its length declared. */
  readonly body?: string;
  /** A body in chunks: one chunk each. Exclusive with `body`. */
  readonly chunks?: readonly string[];
}

/** The bytes of a request, as latin1 text: no header is added but Host and what frames the body. */
export function request(options: RawRequest): string {
  const { method = "GET", target, host = "gateway.test", headers = [], body, chunks } = options;
  const lines = [`${method} ${target} HTTP/1.1`];
  if (host !== null) lines.push(`Host: ${host}`);
  lines.push(...headers);
  if (body !== undefined) lines.push(`Content-Length: ${body.length}`);
  if (chunks !== undefined) lines.push("Transfer-Encoding: chunked");
  return `${lines.join("\r\n")}\r\n\r\n${chunks === undefined ? (body ?? "") : chunked(chunks)}`;
}

/** Text pieces as chunks with the last chunk. */
export function chunked(pieces: readonly string[]): string {
  return [...pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`), "0\r\n\r\n"].join("");
}
