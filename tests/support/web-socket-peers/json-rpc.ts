import { once } from "node:events";
import { Server } from "rpc-websockets";
import { portOf, type Peer } from "./peer.ts";

/** Adds numbers, fails on demand, and tells everybody `news` when asked to. */
export async function jsonRpcPeer(): Promise<Peer> {
  const server = new Server({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  server.register("sum", ([a, b]: [number, number]) => a + b);
  server.register("fail", () => {
    throw new Error("on purpose");
  });
  server.event("news");
  server.register("tell", ([what]: [string]) => {
    server.emit("news", what);
    return "told";
  });
  return { port: portOf(server.wss), stop: () => server.close() };
}
