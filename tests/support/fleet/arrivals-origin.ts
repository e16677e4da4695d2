import { createServer, type Server, type Socket } from "node:net";

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";

/** An origin that notes which request arrived when, and does nothing else. A request's number is the end of its path. */
export class ArrivalsOrigin {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #onArrival: (request: number, at: number) => void;

  private constructor(onArrival: (request: number, at: number) => void) {
    this.#onArrival = onArrival;
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket));
  }

  /** Listens on a free loopback port; `at` is in ms since 1970, as the gateway counts. */
  static async start(onArrival: (request: number, at: number) => void): Promise<ArrivalsOrigin> {
    const origin = new ArrivalsOrigin(onArrival);
    await new Promise<void>((resolve) => {
      origin.#server.listen({ port: 0, host: "127.0.0.1", backlog: 1_024 }, resolve);
    });
    return origin;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("a TCP server has no port");
    return `http://127.0.0.1:${address.port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.setEncoding("latin1");
    let received = "";
    socket.on("data", (text: string) => {
      received += text;
      if (!received.endsWith("\r\n\r\n")) return;
      const number = /\/(\d+) HTTP/.exec(received)?.[1];
      received = "";
      if (number !== undefined) this.#onArrival(Number(number), Date.now());
      socket.write(ANSWER);
    });
  }
}
