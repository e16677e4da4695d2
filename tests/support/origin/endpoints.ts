import type { Connection } from "../connection.ts";
import { isWhole } from "../message-body.ts";
import { type Act, perform, send } from "./act.ts";
import { faults, isFault } from "./faults.ts";
import { patternBytes } from "./pattern-bytes.ts";
import type { IncomingRequest } from "./seen-request.ts";

/** What an endpoint may use of its origin. */
export interface OriginContext {
  /** True when the test lets this waiting endpoint go on; false when the peer left before that. */
  released(peer: Connection): Promise<boolean>;
  /** Resolves once `count` requests wait here together. */
  together(count: number): Promise<void>;
  /** Raw answers that the test registered, by path. */
  readonly answers: ReadonlyMap<string, readonly Act[]>;
  /** Open connections and requests seen. */
  counts(): Readonly<Record<string, number>>;
}

/** Answers one request; false when the connection ended with it. */
type Endpoint = (peer: Connection, request: IncomingRequest, context: OriginContext) => Promise<boolean>;

/** The healthy endpoints; what none of them takes is echoed. */
const healthy: readonly (readonly [path: RegExp, endpoint: Endpoint])[] = [
  [/\/bytes\/\d+$/, bytes],
  [/\/sse$/, serverSentEvents],
  [/\/together$/, together],
  [/\/held$/, held],
  [/\/unread$/, unread],
  [/\/early$/, early],
  [/\/two-way$/, twoWay],
  [/\/counts$/, counts],
];

/** Finds what answers a path: a fault, a raw answer that the test registered, or a healthy endpoint. */
export function endpointFor(request: IncomingRequest, context: OriginContext): Endpoint {
  const name = request.path.slice(request.path.lastIndexOf("/") + 1);
  if (request.path.includes("/fault/") && isFault(name)) return answerWith(faults[name]);
  const registered = context.answers.get(request.path);
  if (registered !== undefined) return answerWith(registered);
  return healthy.find(([path]) => path.test(request.path))?.[1] ?? echo;
}

function answerWith(acts: readonly Act[]): Endpoint {
  return async (peer, request) => {
    await request.readBody();
    return perform(peer, acts);
  };
}

/** Everything that was received, as JSON. */
async function echo(peer: Connection, request: IncomingRequest): Promise<boolean> {
  await request.readBody();
  const { method, target, headers, bodyBytes, bodySha256, bodyEnd } = request;
  return json(peer, request, { method, target, headers, bodyBytes, bodySha256, bodyEnd });
}

/** N bytes with their length declared, or in chunks with `?chunked=1`. */
async function bytes(peer: Connection, request: IncomingRequest): Promise<boolean> {
  await request.readBody();
  const total = Number(request.path.slice(request.path.lastIndexOf("/") + 1));
  const isChunked = request.number("chunked", 0) === 1;
  await peer.send(
    `HTTP/1.1 200 OK\r\n${isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${total}`}\r\n\r\n`,
  );
  for (const piece of patternBytes(total)) {
    if (!(await peer.send(isChunked ? chunkOf(piece) : piece))) return false;
  }
  return !isChunked || peer.send("0\r\n\r\n");
}

/** `?events=N` server-sent events, each sent only when the test releases it. */
async function serverSentEvents(peer: Connection, request: IncomingRequest, context: OriginContext): Promise<boolean> {
  await request.readBody();
  await peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (let event = 1; event <= request.number("events", 1); event += 1) {
    if (!(await context.released(peer))) return false;
    await peer.send(chunkOf(Buffer.from(`data: ${event}\n\n`)));
  }
  return peer.send("0\r\n\r\n");
}

/** Answers only once `?count=N` requests are here at the same time. */
async function together(peer: Connection, request: IncomingRequest, context: OriginContext): Promise<boolean> {
  await request.readBody();
  await context.together(request.number("count", 1));
  return json(peer, request, { together: true });
}

/** Reads the request and says nothing until the test releases it or the peer leaves. */
async function held(peer: Connection, request: IncomingRequest, context: OriginContext): Promise<boolean> {
  await request.readBody();
  return (await context.released(peer)) && echo(peer, request);
}

/** Reads no byte of the body until the test releases it; then it echoes. */
async function unread(peer: Connection, request: IncomingRequest, context: OriginContext): Promise<boolean> {
  await context.released(peer);
  return echo(peer, request);
}

/** Answers before it has read the body, and reads on. */
async function early(peer: Connection, request: IncomingRequest): Promise<boolean> {
  const answered = await perform(peer, [send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")]);
  await request.readBody();
  return answered;
}

/** Answers while it reads the body; its answer breaks off where the body does. */
async function twoWay(peer: Connection, request: IncomingRequest): Promise<boolean> {
  await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  return isWhole(await request.readBody()) && peer.send("0\r\n\r\n");
}

async function counts(peer: Connection, request: IncomingRequest, context: OriginContext): Promise<boolean> {
  await request.readBody();
  return json(peer, request, context.counts());
}

function json(peer: Connection, request: IncomingRequest, value: unknown): Promise<boolean> {
  const body = JSON.stringify(value);
  const head = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  return peer.send(Buffer.from(request.method === "HEAD" ? head : head + body));
}

function chunkOf(piece: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]);
}
