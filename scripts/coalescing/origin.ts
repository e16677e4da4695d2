import { once } from "node:events";
import { createServer, type OutgoingHttpHeaders, type ServerResponse } from "node:http";

/** How an origin answers a scenario. */
export interface OriginReply {
  /** Before the head, in ms. */
  readonly delayMs: number;
  readonly status?: number;
  readonly headers?: OutgoingHttpHeaders;
  /** Closes the connection instead of an answer. */
  readonly isGone?: boolean;
  /** Sends the body in ten pieces over so long. */
  readonly streamMs?: number;
  /** Gives everybody another cookie. */
  readonly hasCookies?: boolean;
}

/** An origin that knows how often it was asked, by the first segment of the path. */
export interface CountingOrigin {
  readonly port: number;
  on(name: string, reply: OriginReply): void;
  countOf(name: string): number;
  stop(): Promise<void>;
}

const PIECES = 10;

/** Starts one on a free port of loopback. */
export async function startOrigin(): Promise<CountingOrigin> {
  const replies = new Map<string, OriginReply>();
  const counts = new Map<string, number>();
  const server = createServer((request, response) => {
    const [, name = ""] = (request.url ?? "").split("/");
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    const reply = replies.get(name) ?? { delayMs: 0 };
    setTimeout(() => answer(response, reply, count), reply.delayMs);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    on: (name, reply) => void replies.set(name, reply),
    countOf: (name) => counts.get(name) ?? 0,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function answer(response: ServerResponse, reply: OriginReply, count: number): void {
  const { isGone, status = 200, headers = {}, hasCookies, streamMs } = reply;
  if (isGone === true) return void response.destroy();
  const cookies = hasCookies === true ? { "set-cookie": `sid=${count}` } : {};
  response.writeHead(status, { "content-type": "text/plain", ...headers, ...cookies });
  if (streamMs === undefined) return void response.end("x".repeat(1_000));
  let sent = 0;
  const timer = setInterval(() => {
    sent += 1;
    if (sent < PIECES) return void response.write("x".repeat(1_000));
    clearInterval(timer);
    response.end("x".repeat(1_000));
  }, streamMs / PIECES);
  response.on("close", () => clearInterval(timer));
}
