import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What an origin answers. */
export interface Reply {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Default the number of requests for the path so far. */
  readonly body?: string | Buffer;
  /** Closes the connection after so much of the body. */
  readonly cutAfter?: number;
  /** Sends so many bytes at once, and the rest after that; without a declared length. */
  readonly held?: { readonly after: number; readonly until: Promise<void> };
  /** Closes the connection instead of any answer. */
  readonly isGone?: boolean;
  /** What the answer waits for. Default nothing. */
  readonly after?: Promise<void>;
}

/** Decides on an answer; `count` is how many requests the path has had, this one included. */
type Rule = (request: IncomingMessage, count: number) => Reply;

/** An origin on a real socket that answers by path as its test says, and remembers what it was asked. */
export interface CountingOrigin {
  readonly url: string;
  /** Answers requests for this path, whatever the query. */
  on(path: string, rule: Rule | Reply): void;
  /** What was asked for a path, oldest first. */
  asked(path: string): readonly IncomingMessage[];
  /** Resolves once a path has been asked for so often; rejects after 10 s. */
  until(path: string, count: number): Promise<void>;
  stop(): Promise<void>;
}

/** Starts one on a free loopback port. */
export async function startCountingOrigin(): Promise<CountingOrigin> {
  const rules = new Map<string, Rule>();
  const seen: IncomingMessage[] = [];
  const pathOf = ({ url = "" }: IncomingMessage) => url.split("?", 1)[0] ?? "";
  const asked = (path: string) => seen.filter((request) => pathOf(request) === path);
  const server = createServer((request, response) => {
    seen.push(request);
    request.resume();
    const path = pathOf(request);
    const count = asked(path).length;
    const reply = { body: String(count), ...rules.get(path)?.(request, count) };
    void Promise.resolve(reply.after).then(() => answer(response, reply));
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is never a path
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    on: (path, rule) => void rules.set(path, typeof rule === "function" ? rule : () => rule),
    asked,
    async until(path, count) {
      const deadline = AbortSignal.timeout(10_000);
      while (asked(path).length < count) await once(server, "request", { signal: deadline });
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(
  response: ServerResponse,
  { status = 200, headers = {}, body = "", cutAfter, held, isGone }: Reply,
): void {
  if (isGone === true) return void response.destroy();
  const bytes = Buffer.from(body);
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (held !== undefined) {
    response.write(bytes.subarray(0, held.after));
    return void held.until.then(() => response.end(bytes.subarray(held.after)));
  }
  if (cutAfter === undefined) return void response.end(bytes);
  response.write(bytes.subarray(0, cutAfter), () => response.destroy());
}
