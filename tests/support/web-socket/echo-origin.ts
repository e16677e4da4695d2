import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";

/** A plain WebSocket origin that echoes, chooses the last protocol and closes with 4000 when it is told `close`. Knows of no sessions. */
export class EchoOrigin {
  readonly #server: Server;
  readonly #sockets: WebSocketServer;

  private constructor() {
    this.#server = createServer((_request, response) => response.writeHead(404).end());
    this.#sockets = new WebSocketServer({
      server: this.#server,
      handleProtocols: (names) => [...names].at(-1) ?? false,
    });
    this.#sockets.on("connection", (socket) => {
      socket.on("message", (data: Buffer, isBinary: boolean) => {
        if (!isBinary && data.toString() === "close") socket.close(4_000, "bye");
        else socket.send(data, { binary: isBinary });
      });
    });
  }

  static async start(): Promise<EchoOrigin> {
    const origin = new EchoOrigin();
    await new Promise<void>((resolve) => origin.#server.listen(0, "127.0.0.1", resolve));
    return origin;
  }

  get url(): string {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that listens on TCP has such an address
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
