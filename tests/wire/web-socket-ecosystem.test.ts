import { once } from "node:events";
import { createClient } from "graphql-ws";
import { connectAsync } from "mqtt";
import { WebSocket as PartySocket } from "partysocket";
import { Client as RpcClient } from "rpc-websockets";
import { io, type Socket } from "socket.io-client";
import { Client as StompClient } from "@stomp/stompjs";
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import { Doc } from "yjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { echoPeer } from "../support/web-socket-peers/echo.ts";
import { graphqlPeer } from "../support/web-socket-peers/graphql.ts";
import { jsonRpcPeer } from "../support/web-socket-peers/json-rpc.ts";
import { mqttPeer } from "../support/web-socket-peers/mqtt.ts";
import type { Peer } from "../support/web-socket-peers/peer.ts";
import { socketIoPeer } from "../support/web-socket-peers/socket-io.ts";
import { stompPeer } from "../support/web-socket-peers/stomp.ts";
import { yjsPeer } from "../support/web-socket-peers/yjs.ts";

const MODES = ["direct", "splice", "bridge"] as const;
const PEERS = {
  "socket-io": socketIoPeer,
  graphql: graphqlPeer,
  yjs: yjsPeer,
  mqtt: mqttPeer,
  stomp: stompPeer,
  "json-rpc": jsonRpcPeer,
  echo: echoPeer,
} as const;
type PeerName = keyof typeof PEERS;

/** Floods are wanted here. */
const ANY = { messagesPerSecond: false, bytesPerSecond: false };

const peers = new Map<string, Peer>();
let gateway: Gateway;

beforeAll(async () => {
  for (const [name, start] of Object.entries(PEERS)) peers.set(name, await start());
  const routes = [...peers].flatMap(([name, { port }]) => {
    const target = `http://127.0.0.1:${port}`;
    return [
      { prefix: `/splice/${name}`, target, webSocket: { mode: "splice" } },
      { prefix: `/bridge/${name}`, target, webSocket: { mode: "bridge", fromClient: ANY, fromUpstream: ANY } },
    ];
  });
  gateway = await startGateway({ config: { routes, allowPrivateTargets: true } });
});

afterAll(async () => {
  await gateway.stop();
  await Promise.all([...peers.values()].map((peer) => peer.stop()));
});

describe.each(MODES)("%s", (mode) => {
  /** Where a peer is met, by http. */
  function http(name: PeerName): URL {
    const { port } = peers.get(name) ?? { port: 0 };
    return new URL(mode === "direct" ? `http://127.0.0.1:${port}` : `${gateway.url}/${mode}/${name}`);
  }

  /** The same by ws. */
  function ws(name: PeerName, path = ""): string {
    return `${http(name).href.replace(/^http/, "ws").replace(/\/$/, "")}${path}`;
  }

  describe("socket.io", () => {
    function connect(transports: readonly string[] = ["websocket"]): Socket {
      const { origin, pathname } = http("socket-io");
      const path = `${pathname.replace(/\/$/, "")}/socket.io/`;
      return io(origin, { path, transports: [...transports], forceNew: true, reconnectionDelay: 10 });
    }

    it("acknowledges a megabyte of bytes", async () => {
      const socket = connect();
      const bytes = Buffer.alloc(1_000_000, 7);
      const echoed: unknown = await socket.emitWithAck("echo", bytes);
      socket.close();
      expect(Buffer.isBuffer(echoed) && bytes.equals(echoed)).toBe(true);
    });

    it("upgrades from polling", async () => {
      const socket = connect(["polling", "websocket"]);
      await new Promise((resolve) => socket.once("connect", () => resolve(undefined)));
      const { engine } = socket.io;
      if (engine.transport.name !== "websocket")
        await new Promise<void>((resolve) => engine.once("upgrade", () => resolve()));
      const echoed: unknown = await socket.emitWithAck("echo", "after the upgrade");
      const transport = engine.transport.name;
      socket.close();
      expect({ transport, echoed }).toEqual({ transport: "websocket", echoed: "after the upgrade" });
    });

    it("brings 5,000 events in order", async () => {
      const socket = connect();
      const seen: number[] = [];
      await new Promise((resolve) => {
        socket.on("drop", (at: number) => {
          seen.push(at);
          if (seen.length === 5_000) resolve(undefined);
        });
        socket.emit("flood", 5_000);
      });
      socket.close();
      expect(seen).toEqual(Array.from({ length: 5_000 }, (_, at) => at));
    });

    it("recovers what was said while a connection was cut", async () => {
      const socket = connect();
      const room = `room ${mode}`;
      await socket.emitWithAck("join", room);
      const missed = new Promise((resolve) => socket.once("missed", resolve));
      const back = new Promise((resolve) => socket.io.once("reconnect", resolve));
      // What is recovered is what came after the last packet that had an offset.
      socket.emit("flood", 1);
      await new Promise((resolve) => socket.once("drop", resolve));
      socket.emit("cut", room);
      await back;
      expect(await missed).toBe("said while away");
      expect(socket.recovered).toBe(true);
      socket.close();
    });

    it("lives through heartbeats, and is told that it was kicked", async () => {
      const socket = connect();
      await new Promise((resolve) => socket.once("connect", () => resolve(undefined)));
      const { engine } = socket.io;
      for (let beats = 0; beats < 2; beats += 1)
        await new Promise<void>((resolve) => engine.once("ping", () => resolve()));
      const reason = new Promise((resolve) => socket.once("disconnect", resolve));
      socket.emit("kick");
      expect(await reason).toBe("io server disconnect");
      socket.close();
    });
  });

  describe("graphql-ws", () => {
    it("streams 200 results of a subscription", async () => {
      const client = createClient({ url: ws("graphql"), webSocketImpl: WebSocket });
      const counts: unknown[] = [];
      for await (const { data } of client.iterate({ query: "subscription { count(to: 200) }" }))
        counts.push(data?.["count"]);
      await client.dispose();
      expect(counts).toEqual(Array.from({ length: 200 }, (_, at) => at + 1));
    });

    it("is refused with 4403, and with 4408 when it says nothing", async () => {
      const refused = createClient({
        url: ws("graphql"),
        webSocketImpl: WebSocket,
        connectionParams: { token: "wrong" },
        retryAttempts: 0,
      });
      const refusal = new Promise((resolve) => {
        refused.subscribe(
          { query: "{ hello }" },
          { next: resolve, complete: () => resolve("complete"), error: resolve },
        );
      });
      const silent = new WebSocket(ws("graphql"), "graphql-transport-ws");
      const [silentCode] = await once(silent, "close");
      await refused.dispose();
      // An event's fields are its class's, which a matcher of objects does not see.
      const code: unknown = Reflect.get(Object(await refusal), "code");
      expect([code, silentCode]).toEqual([4403, 4408]);
    });
  });

  it("y-websocket: two documents become one", async () => {
    const docs = [new Doc(), new Doc()];
    const providers = docs.map(
      (doc) =>
        new WebsocketProvider(ws("yjs"), mode, doc, {
          // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the provider asks for what both classes have
          WebSocketPolyfill: WebSocket as unknown as typeof globalThis.WebSocket,
          disableBc: true,
        }),
    );
    await Promise.all(providers.map((provider) => new Promise((resolve) => provider.once("sync", resolve))));
    const [mine, yours] = docs.map((doc) => doc.getArray<number>(mode));
    const same = new Promise((resolve) => {
      const look = () => {
        if (mine?.length === 20 && yours?.length === 20) resolve(undefined);
      };
      mine?.observe(look);
      yours?.observe(look);
    });
    for (let at = 0; at < 10; at += 1) {
      mine?.push([at]);
      yours?.unshift([at]);
    }
    await same;
    for (const provider of providers) provider.destroy();
    expect(mine?.toJSON()).toEqual(yours?.toJSON());
    expect(mine?.toJSON().toSorted()).toEqual(Array.from({ length: 20 }, (_, at) => Math.floor(at / 2)));
  });

  it.each([0, 1, 2] as const)("mqtt: brings messages of quality %i", async (qos) => {
    const topic = `${mode}/${qos}`;
    const [sender, receiver] = await Promise.all([1, 2].map(() => connectAsync(ws("mqtt", "/mqtt"), { keepalive: 1 })));
    if (sender === undefined || receiver === undefined) throw new Error("not connected");
    const got: string[] = [];
    const all = new Promise((resolve) => {
      receiver.on("message", (_topic, payload) => {
        if (got.push(payload.toString()) === 50) resolve(undefined);
      });
    });
    await receiver.subscribeAsync(topic, { qos });
    for (let at = 0; at < 50; at += 1) await sender.publishAsync(topic, String(at), { qos });
    await all;
    // A keep-alive each second, and its answer.
    if (qos === 0) await new Promise((resolve) => receiver.once("packetreceive", resolve));
    await Promise.all([sender.endAsync(), receiver.endAsync()]);
    expect(got).toEqual(Array.from({ length: 50 }, (_, at) => String(at)));
  });

  it("stompjs: subscribes, sends and keeps its heart beating", async () => {
    const client = new StompClient({
      webSocketFactory: () => new WebSocket(ws("stomp"), ["v12.stomp"]),
      heartbeatIncoming: 100,
      heartbeatOutgoing: 100,
      reconnectDelay: 0,
    });
    const connected = new Promise((resolve) => (client.onConnect = resolve));
    client.activate();
    await connected;
    const got: string[] = [];
    const all = new Promise((resolve) => {
      client.subscribe(`/topic/${mode}`, ({ body }) => {
        if (got.push(body) === 20) resolve(undefined);
      });
    });
    for (let at = 0; at < 20; at += 1) client.publish({ destination: `/topic/${mode}`, body: `message ${at}` });
    await all;
    const lost = client.connected ? "connected" : "lost";
    await client.deactivate();
    expect({ got, lost }).toEqual({ got: Array.from({ length: 20 }, (_, at) => `message ${at}`), lost: "connected" });
  });

  it("rpc-websockets: calls, errors and events", async () => {
    const client = new RpcClient(ws("json-rpc"), { reconnect: false });
    await once(client, "open");
    expect(await client.call("sum", [2, 3])).toBe(5);
    await expect(client.call("fail")).rejects.toMatchObject({ data: "on purpose" });
    await client.subscribe("news");
    const news = once(client, "news");
    expect(await client.call("tell", ["it works"])).toBe("told");
    expect(await news).toEqual(["it works"]);
    client.close();
  });

  it("partysocket: comes back after the server has restarted, with what was said meanwhile", async () => {
    const socket = new PartySocket(ws("echo"), [], { WebSocket, minReconnectionDelay: 10, maxReconnectionDelay: 50 });
    const got: string[] = [];
    const codes: number[] = [];
    socket.addEventListener("close", ({ code }) => codes.push(code));
    const answered = (count: number) =>
      new Promise((resolve) => {
        socket.addEventListener("message", ({ data }) => {
          if (typeof data === "string" && !got.includes(data)) got.push(data);
          if (got.length === count) resolve(undefined);
        });
      });
    const first = answered(1);
    socket.send("before");
    await first;
    const second = answered(2);
    const left = new Promise((resolve) => socket.addEventListener("close", resolve, { once: true }));
    socket.send("bye");
    await left;
    socket.send("after");
    await second;
    socket.close();
    expect({ got, codes: codes.slice(0, 1) }).toEqual({ got: ["before", "after"], codes: [1012] });
  });
});
