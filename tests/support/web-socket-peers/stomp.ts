import { createServer } from "node:http";
import { WebSocketServer, type WebSocket } from "ws";
import { closed, listening, type Peer } from "./peer.ts";

interface Frame {
  readonly command: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** A broker of topics by STOMP 1.2, with a heart-beat each 100 ms. */
export async function stompPeer(): Promise<Peer> {
  const http = createServer();
  const server = new WebSocketServer({
    server: http,
    handleProtocols: (offered) => (offered.has("v12.stomp") ? "v12.stomp" : false),
  });
  const subscriptions = new Set<{ readonly client: WebSocket; readonly id: string; readonly topic: string }>();
  server.on("connection", (client) => {
    const beat = setInterval(() => client.send("\n"), 100);
    client.on("close", () => {
      clearInterval(beat);
      for (const one of subscriptions) if (one.client === client) subscriptions.delete(one);
    });
    client.on("message", (data: Buffer) => {
      const text = data.toString();
      if (text.trim() !== "") answer(client, readFrame(text));
    });
  });
  let count = 0;
  function answer(client: WebSocket, { command, headers, body }: Frame): void {
    const topic = headers.get("destination") ?? "";
    if (command === "CONNECT" || command === "STOMP") client.send("CONNECTED\nversion:1.2\nheart-beat:100,100\n\n\0");
    if (command === "SUBSCRIBE") subscriptions.add({ client, id: headers.get("id") ?? "", topic });
    const receipt = headers.get("receipt");
    if (receipt !== undefined) client.send(`RECEIPT\nreceipt-id:${receipt}\n\n\0`);
    if (command !== "SEND") return;
    for (const one of subscriptions) {
      if (one.topic !== topic) continue;
      count += 1;
      one.client.send(`MESSAGE\nsubscription:${one.id}\nmessage-id:${count}\ndestination:${topic}\n\n${body}\0`);
    }
  }
  const port = await listening(http);
  return { port, stop: () => closed(http) };
}

function readFrame(text: string): Frame {
  const end = text.indexOf("\n\n");
  const [command = "", ...lines] = text.slice(0, end).trimStart().split("\n");
  const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]));
  return { command, headers, body: text.slice(end + 2).replace(/\0\n*$/, "") };
}
