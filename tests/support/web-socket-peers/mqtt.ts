import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Aedes } from "aedes";
import { createWebSocketStream, WebSocketServer } from "ws";
import { closed, listening, portOf, type Peer } from "./peer.ts";

/** Where Debian puts it; its path is not always searched. */
const MOSQUITTO = ["mosquitto", "/usr/sbin/mosquitto"].find((path) => spawnSync(path, ["-h"]).error === undefined);

/** A broker over WebSockets: Eclipse Mosquitto where it is installed, else aedes. */
export function mqttPeer(wanted = 0): Promise<Peer> {
  return MOSQUITTO === undefined ? aedesPeer(wanted) : mosquittoPeer(MOSQUITTO, wanted);
}

async function mosquittoPeer(path: string, wanted: number): Promise<Peer> {
  const port = wanted === 0 ? await freePort() : wanted;
  const folder = mkdtempSync(join(tmpdir(), "sluice-mosquitto-"));
  const file = join(folder, "mosquitto.conf");
  // 2.0.11 gives up unless it has a listener that is no WebSocket's, too.
  const lines = [
    `listener 0 ${join(folder, "socket")}`,
    `listener ${port} 127.0.0.1`,
    "protocol websockets",
    "socket_domain ipv4",
    "allow_anonymous true",
    "user root",
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  const broker = spawn(path, ["-c", file], { stdio: "ignore" });
  const gone = new Promise<void>((resolve) => broker.once("exit", () => resolve()));
  await accepting(port);
  return {
    port,
    stop: async () => {
      broker.kill("SIGKILL");
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function aedesPeer(wanted: number): Promise<Peer> {
  const broker = await Aedes.createBroker();
  const http = createServer();
  const server = new WebSocketServer({
    server: http,
    handleProtocols: (offered) => (offered.has("mqtt") ? "mqtt" : false),
  });
  server.on("connection", (client, request) => broker.handle(createWebSocketStream(client), request));
  const port = await listening(http, wanted);
  return {
    port,
    stop: async () => {
      await new Promise<void>((resolve) => broker.close(() => resolve()));
      await closed(http);
    },
  };
}

function freePort(): Promise<number> {
  const server = createTcpServer();
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const port = portOf(server);
      server.close(() => resolve(port));
    });
  });
}

/** A process of its own says nothing when it listens: only asking tells. */
async function accepting(port: number): Promise<void> {
  const until = Date.now() + 10_000;
  while (!(await canConnect(port))) {
    if (Date.now() > until) throw new Error(`mosquitto does not listen on port ${port} after 10 s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (can: boolean) => {
      socket.destroy();
      resolve(can);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}
