import { deepEqual, equal, ok } from "node:assert/strict";
import { io, type Socket } from "socket.io-client";
import type { Place } from "./ecosystem.ts";

/** What clients of socket.io do. */
export const socketIoScenarios = [
  { title: "acknowledges a megabyte of bytes", run: megabyte },
  { title: "upgrades from polling", run: upgrade },
  { title: "brings 5,000 events in order", run: flood },
  { title: "recovers what was said while a connection was cut", run: recovery },
  { title: "lives through heartbeats, and is told that it was kicked", run: heartbeats },
];

function connect({ http }: Place, transports: readonly string[] = ["websocket"]): Socket {
  const { origin, pathname } = http("socket-io");
  const path = `${pathname.replace(/\/$/, "")}/socket.io/`;
  return io(origin, { path, transports: [...transports], forceNew: true, reconnectionDelay: 10 });
}

async function megabyte(place: Place): Promise<void> {
  const socket = connect(place);
  const bytes = Buffer.alloc(1_000_000, 7);
  const echoed: unknown = await socket.emitWithAck("echo", bytes);
  socket.close();
  ok(Buffer.isBuffer(echoed) && bytes.equals(echoed));
}

async function upgrade(place: Place): Promise<void> {
  const socket = connect(place, ["polling", "websocket"]);
  await new Promise((resolve) => socket.once("connect", () => resolve(undefined)));
  const { engine } = socket.io;
  if (engine.transport.name !== "websocket")
    await new Promise<void>((resolve) => engine.once("upgrade", () => resolve()));
  const echoed: unknown = await socket.emitWithAck("echo", "after the upgrade");
  const transport = engine.transport.name;
  socket.close();
  deepEqual({ transport, echoed }, { transport: "websocket", echoed: "after the upgrade" });
}

async function flood(place: Place): Promise<void> {
  const socket = connect(place);
  const seen: number[] = [];
  await new Promise((resolve) => {
    socket.on("drop", (at: number) => {
      seen.push(at);
      if (seen.length === 5_000) resolve(undefined);
    });
    socket.emit("flood", 5_000);
  });
  socket.close();
  deepEqual(
    seen,
    Array.from({ length: 5_000 }, (_, at) => at),
  );
}

async function recovery(place: Place): Promise<void> {
  const socket = connect(place);
  const room = `room ${place.way}`;
  await socket.emitWithAck("join", room);
  const missed = new Promise((resolve) => socket.once("missed", resolve));
  const back = new Promise((resolve) => socket.io.once("reconnect", resolve));
  // What is recovered is what came after the last packet that had an offset.
  socket.emit("flood", 1);
  await new Promise((resolve) => socket.once("drop", resolve));
  socket.emit("cut", room);
  await back;
  equal(await missed, "said while away");
  ok(socket.recovered);
  socket.close();
}

async function heartbeats(place: Place): Promise<void> {
  const socket = connect(place);
  await new Promise((resolve) => socket.once("connect", () => resolve(undefined)));
  const { engine } = socket.io;
  for (let beats = 0; beats < 2; beats += 1) await new Promise<void>((resolve) => engine.once("ping", () => resolve()));
  const reason = new Promise((resolve) => socket.once("disconnect", resolve));
  socket.emit("kick");
  equal(await reason, "io server disconnect");
  socket.close();
}
