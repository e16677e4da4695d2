import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A request that a backend has got. */
export interface SeenEvent {
  readonly name: string | undefined;
  readonly session: string | undefined;
  readonly sequence: number;
  readonly state: string | undefined;
  readonly close: string | undefined;
  readonly type: string | undefined;
  readonly method: string | undefined;
  readonly target: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/** What it answers. */
export interface EventAnswer {
  readonly status?: number;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string | Buffer;
}

/** A backend of WebSockets in mode `callback`, which is one of plain HTTP. */
export class EventBackend {
  readonly seen: SeenEvent[] = [];
  /** What is answered to an event; by default 204. */
  answer: (event: SeenEvent) => EventAnswer | Promise<EventAnswer> = () => ({});
  readonly #server: Server;
  #waiters: (() => void)[] = [];

  private constructor() {
    this.#server = createServer((request, response) => {
      void this.#take(request).then(({ status = 204, headers = {}, body = "" }) =>
        response
          .writeHead(body.length > 0 && status === 204 ? 200 : status, { ...headers, "content-length": body.length })
          .end(body),
      );
    });
  }

  static async start(): Promise<EventBackend> {
    const backend = new EventBackend();
    await new Promise<void>((resolve) => backend.#server.listen(0, "127.0.0.1", resolve));
    return backend;
  }

  get url(): string {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that listens on TCP has such an address
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  /** The events of one session, once there are so many. */
  async eventsOf(session: string, count: number): Promise<readonly SeenEvent[]> {
    for (;;) {
      const found = this.seen.filter((event) => event.session === session);
      if (found.length >= count) return found;
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #take(request: IncomingMessage): Promise<EventAnswer> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    const { headers, method, url } = request;
    const field = (name: string) => headers[name]?.toString();
    const event: SeenEvent = {
      name: field("x-sluice-event"),
      session: field("x-sluice-session"),
      sequence: Number(field("x-sluice-sequence")),
      state: field("x-sluice-state"),
      close: field("x-sluice-close"),
      type: field("content-type"),
      method,
      target: url,
      headers,
      body: Buffer.concat(pieces),
    };
    this.seen.push(event);
    for (const waiter of this.#waiters.splice(0)) waiter();
    return this.answer(event);
  }
}
