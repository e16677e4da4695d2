import { openSync, writeSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { CLIENT, type Manner, type MannerOrder, SERVED_BY } from "./manner.ts";

/** The process of one target: `node target-main.ts PORT FILE MANNER`. TargetProcess starts it and says what it is for. */
const [port = "", file = "", manner = ""] = process.argv.slice(2);
const notes = openSync(file, "a");
const connections = new WeakMap<Socket, number>();
const manners = new Map<string, Manner>([["", JSON.parse(manner)]]);
let connected = 0;
let held: (readonly [IncomingMessage, ServerResponse])[] = [];

const server = createServer((request, response) => {
  note(request);
  request.resume();
  request.on("error", () => {});
  request.on("end", () => treat(request, response));
});
server.on("connection", (socket) => {
  connected += 1;
  connections.set(socket, connected);
});
// Whoever keeps a connection may keep it: one that is closed at the wrong moment is a failure that nobody injected.
server.keepAliveTimeout = 0;
server.requestTimeout = 0;
server.listen({ port: Number(port), host: "127.0.0.1", backlog: 1_024 }, () => process.send?.("listening"));

process.on("message", (order: MannerOrder) => {
  manners.set(order.prefix, order.manner);
  const waiting = held;
  held = [];
  for (const [request, response] of waiting) treat(request, response);
  process.send?.("done");
});
process.on("disconnect", () => process.exit(0));

/** Before anything else, and in the file before the next request is read: kill -9 loses none. */
function note(request: IncomingMessage): void {
  const connection = `${process.pid}:${connections.get(request.socket) ?? 0}`;
  const client = request.headers[CLIENT] ?? "";
  writeSync(notes, `${[Date.now(), connection, request.method, request.url, client].join("\t")}\n`);
}

function treat(request: IncomingMessage, response: ServerResponse): void {
  const how = mannerOf(request.url ?? "");
  switch (how.kind) {
    case "answer":
      return answer(response, how.status, how.headers);
    case "slow":
      setTimeout(() => answer(response, 200), how.ms);
      return;
    case "hold":
      held.push([request, response]);
      return;
    case "reset":
      request.socket.resetAndDestroy();
  }
}

function mannerOf(path: string): Manner {
  const prefixes = [...manners.keys()].filter((prefix) => path.startsWith(prefix));
  const [longest = ""] = prefixes.toSorted((a, b) => b.length - a.length);
  return manners.get(longest) ?? { kind: "answer", status: 200 };
}

function answer(response: ServerResponse, status: number, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { [SERVED_BY]: port, "content-length": "2", ...headers }).end("ok");
}
