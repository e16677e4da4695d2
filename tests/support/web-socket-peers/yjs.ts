import { createServer } from "node:http";
import { createDecoder, readVarUint, readVarUint8Array } from "lib0/decoding";
import { createEncoder, length, toUint8Array, writeVarUint } from "lib0/encoding";
import { Awareness, applyAwarenessUpdate } from "y-protocols/awareness";
import { readSyncMessage, writeSyncStep1, writeUpdate } from "y-protocols/sync";
import { WebSocketServer, type WebSocket } from "ws";
import { Doc } from "yjs";
import { closed, listening, type Peer } from "./peer.ts";

const SYNC = 0;
const AWARENESS = 1;

/** One document for everybody, by the protocol of y-websocket. */
export async function yjsPeer(): Promise<Peer> {
  const http = createServer();
  const server = new WebSocketServer({ server: http });
  const doc = new Doc();
  const awareness = new Awareness(doc);
  const clients = new Set<WebSocket>();
  doc.on("update", (update: Uint8Array) => {
    const encoder = createEncoder();
    writeVarUint(encoder, SYNC);
    writeUpdate(encoder, update);
    for (const client of clients) client.send(toUint8Array(encoder));
  });
  server.on("connection", (client) => {
    clients.add(client);
    client.on("close", () => clients.delete(client));
    client.on("message", (data: Buffer) => {
      const decoder = createDecoder(new Uint8Array(data));
      if (readVarUint(decoder) === AWARENESS) {
        applyAwarenessUpdate(awareness, readVarUint8Array(decoder), client);
        for (const other of clients) if (other !== client) other.send(data);
        return;
      }
      const encoder = createEncoder();
      writeVarUint(encoder, SYNC);
      readSyncMessage(decoder, encoder, doc, client);
      if (length(encoder) > 1) client.send(toUint8Array(encoder));
    });
    const hello = createEncoder();
    writeVarUint(hello, SYNC);
    writeSyncStep1(hello, doc);
    client.send(toUint8Array(hello));
  });
  const port = await listening(http);
  return {
    port,
    stop: () => {
      awareness.destroy();
      return closed(http);
    },
  };
}
