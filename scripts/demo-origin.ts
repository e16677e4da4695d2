import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** The most that /api/bytes/N sends and that /api/echo reads, in bytes: it is there to try things out, not to fill a disk. */
const MAX_BYTES = 1_073_741_824;
const MAX_ECHO_BYTES = 1_048_576;
const MAX_DELAY_MS = 60_000;

/** A small HTTP server to put the gateway in front of, for those who have no API at hand. */
export interface DemoOrigin {
  /** Its origin, on loopback, without a trailing slash. */
  readonly url: string;
  close(): void;
}

/**
 * Starts it on a free port of the loopback address. `/api/hello` answers JSON, `/api/echo` shows the request as it arrived,
 * `/api/slow?ms=` waits, `/api/stream?events=` sends an event every 500 ms, `/api/bytes/N` sends N bytes, anything else is 404.
 */
export async function startDemoOrigin(): Promise<DemoOrigin> {
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://demo");
  const [, , endpoint = "", argument] = pathname.split("/");
  switch (endpoint) {
    case "hello":
      return json(response, 200, { message: "Hello from the demo origin", path: request.url });
    case "echo":
      return json(response, 200, await echo(request));
    case "slow": {
      const delayMs = atMost(MAX_DELAY_MS, searchParams.get("ms") ?? "1000");
      await sleep(delayMs);
      return json(response, 200, { waitedMs: delayMs });
    }
    case "stream":
      return stream(response, atMost(1_000, searchParams.get("events") ?? "10"));
    case "bytes":
      return bytes(response, atMost(MAX_BYTES, argument ?? "1024"));
    default:
      return json(response, 404, {
        message: "The demo origin has /api/hello, /api/echo, /api/slow, /api/stream and /api/bytes/N",
      });
  }
}

async function echo(request: IncomingMessage): Promise<Record<string, unknown>> {
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) {
    if (body.length < MAX_ECHO_BYTES) body += String(chunk);
  }
  return { method: request.method, path: request.url, headers: request.headers, body: body.slice(0, MAX_ECHO_BYTES) };
}

async function stream(response: ServerResponse, events: number): Promise<void> {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  for (let id = 1; id <= events && !response.destroyed; id++) {
    response.write(`id: ${id}\ndata: ${JSON.stringify({ event: id, of: events })}\n\n`);
    if (id < events) await sleep(500);
  }
  response.end();
}

async function bytes(response: ServerResponse, count: number): Promise<void> {
  response.writeHead(200, { "Content-Type": "application/octet-stream", "Content-Length": count });
  const block = Buffer.alloc(65_536, "sluice. ");
  for (let left = count; left > 0 && !response.destroyed; left -= block.length) {
    const wantsMore = response.write(left < block.length ? block.subarray(0, left) : block);
    if (!wantsMore) await Promise.race([once(response, "drain"), once(response, "close")]);
  }
  response.end();
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "Content-Type": "application/json" });
  response.end(`${JSON.stringify(value, null, 2)}\n`);
}

/** A number from a URL, between 0 and `most`; 0 for what isn't one. */
function atMost(most: number, text: string): number {
  const number = Math.trunc(Number(text));
  return Number.isFinite(number) ? Math.min(Math.max(number, 0), most) : 0;
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error(`a TCP server has no port: ${String(address)}`);
  return address.port;
}
