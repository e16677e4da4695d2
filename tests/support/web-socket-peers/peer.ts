import type { Server } from "node:http";
import type { Server as TcpServer } from "node:net";

/** A WebSocket server of a real protocol, on loopback and a free port. */
export interface Peer {
  readonly port: number;
  /** Ends it and every connection to it. */
  stop(): Promise<void>;
}

/** Resolves to the port that a server has got on loopback: any that is free, unless one is wanted. */
export function listening(server: Server, wanted = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(wanted, "127.0.0.1", () => resolve(portOf(server)));
  });
}

/** Of a server that listens on a network. */
export function portOf(server: Pick<TcpServer, "address">): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return address.port;
}

/** Ends a server with every connection that it has. */
export function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
