import { createServer } from "node:http";
import { Server } from "socket.io";
import { listening, type Peer } from "./peer.ts";

/** Echoes, floods, kicks and cuts on demand; sessions that were cut off are recovered for two minutes. */
export async function socketIoPeer(): Promise<Peer> {
  const http = createServer();
  const io = new Server(http, {
    pingInterval: 300,
    pingTimeout: 2_000,
    connectionStateRecovery: {},
    maxHttpBufferSize: 4e6,
  });
  io.on("connection", (socket) => {
    socket.on("echo", (value: unknown, reply: (value: unknown) => void) => reply(value));
    socket.on("flood", (count: number) => {
      for (let at = 0; at < count; at += 1) socket.emit("drop", at);
    });
    socket.on("kick", () => socket.disconnect(true));
    socket.on("join", (room: string, reply: () => void) => {
      void socket.join(room);
      reply();
    });
    // Without a close packet, as a network would.
    socket.on("cut", (room: string) => {
      socket.conn.close(true);
      io.to(room).emit("missed", "said while away");
    });
  });
  const port = await listening(http);
  return { port, stop: () => io.close() };
}
