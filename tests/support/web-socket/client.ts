import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { type HeaderLines, parseHead } from "../message-head.ts";
import { Peer } from "./peer.ts";

/** A handshake, beside what every one has. */
export interface HandshakeOptions {
  readonly path?: string;
  /** Sent as they are; one of the handshake's own replaces it, undefined leaves it out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
}

/** What came of a handshake. */
export type Handshake =
  | { readonly kind: "open"; readonly peer: Peer; readonly headers: HeaderLines; readonly status: 101 }
  | { readonly kind: "refused"; readonly status: number; readonly headers: HeaderLines; readonly body: string };

/** Sends a handshake and does not wait for its answer. */
export async function beginHandshake(
  url: string,
  { path = "/", headers = {} }: HandshakeOptions = {},
): Promise<Socket> {
  const { hostname, port, host } = new URL(url);
  const fields: Record<string, string | undefined> = {
    Host: host,
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
    ...headers,
  };
  const lines = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}\r\n`],
  );
  const socket = await new Promise<Socket>((resolve, reject) => {
    const made = connect(Number(port), hostname, () => resolve(made));
    made.once("error", reject);
  });
  socket.on("error", () => undefined);
  socket.write(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
  return socket;
}

/** Makes a handshake and waits for what comes of it. */
export async function shakeHands(url: string, options: HandshakeOptions = {}): Promise<Handshake> {
  const socket = await beginHandshake(url, options);
  const { head, rest } = await headOf(socket);
  const { firstLine, headers } = parseHead(head);
  const status = Number(firstLine.split(" ")[1]);
  if (status === 101) return { kind: "open", status, headers, peer: new Peer(socket, true, rest) };
  const length = Number(headers.find(([name]) => name.toLowerCase() === "content-length")?.[1] ?? 0);
  let body = rest;
  while (body.length < length) {
    const more = await nextBytes(socket);
    if (more === undefined) break;
    body = Buffer.concat([body, more]);
  }
  socket.destroy();
  return { kind: "refused", status, headers, body: body.toString() };
}

/** Opens a session; throws when it is refused. */
export async function openSocket(url: string, options: HandshakeOptions = {}): Promise<Peer> {
  const made = await shakeHands(url, options);
  if (made.kind === "open") return made.peer;
  throw new Error(`the handshake was answered ${made.status}: ${made.body}`);
}

/** Everything of a head up to its blank line, and what came after it. */
export async function headOf(socket: Socket): Promise<{ readonly head: string; readonly rest: Buffer }> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    const at = bytes.indexOf("\r\n\r\n");
    if (at >= 0) return { head: bytes.subarray(0, at + 4).toString("latin1"), rest: bytes.subarray(at + 4) };
    const more = await nextBytes(socket);
    if (more === undefined) throw new Error(`the connection ended within a head: ${bytes.toString("latin1")}`);
    bytes = Buffer.concat([bytes, more]);
  }
}

/** Undefined: there are none any more. */
function nextBytes(socket: Socket): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const done = (bytes?: Buffer): void => {
      socket.pause();
      socket.off("data", done).off("end", done).off("close", done);
      resolve(bytes);
    };
    socket
      .on("data", done)
      .on("end", () => done())
      .on("close", () => done());
    socket.resume();
  });
}
