import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { closed, listening, type Peer } from "./peer.ts";

/** Echoes each message; `bye` closes with 1012, as a server does that is about to restart. */
export async function echoPeer(): Promise<Peer> {
  const http = createServer();
  const server = new WebSocketServer({ server: http });
  server.on("connection", (client) => {
    client.on("message", (data: Buffer, isBinary: boolean) => {
      if (data.toString() === "bye") return client.close(1012, "restarting");
      client.send(data, { binary: isBinary });
    });
  });
  const port = await listening(http);
  return { port, stop: () => closed(http) };
}
