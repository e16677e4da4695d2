import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** A stretch of network between a client and a server, which can be cut. */
export class CutWire {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Leads to a server on loopback. */
  static async start(port: number): Promise<CutWire> {
    const server = createServer();
    const wire = new CutWire(server);
    server.on("connection", (near: Socket) => {
      const far = connect(port, "127.0.0.1");
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        wire.#sockets.add(one);
        one.setNoDelay(true);
        one.on("error", () => undefined);
        one.on("close", () => {
          wire.#sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return wire;
  }

  get port(): number {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that listens on TCP has such an address
    return (this.#server.address() as AddressInfo).port;
  }

  /** Every connection is reset at both ends, with what is under way lost. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async stop(): Promise<void> {
    this.reset();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
