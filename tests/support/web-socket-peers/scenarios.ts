import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { once } from "node:events";
import { createClient } from "graphql-ws";
import { connectAsync } from "mqtt";
import { WebSocket as PartySocket } from "partysocket";
import { Client as RpcClient } from "rpc-websockets";
import { Client as StompClient } from "@stomp/stompjs";
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import { Doc } from "yjs";
import type { Place } from "./ecosystem.ts";
import { socketIoScenarios } from "./socket-io-scenarios.ts";

/** Something that a client of a library does with a server of its own; rejects where it goes wrong. */
export interface Scenario {
  readonly library: string;
  readonly title: string;
  readonly run: (place: Place) => Promise<void>;
}

/** What users do over WebSockets. */
export const SCENARIOS: readonly Scenario[] = [
  ...socketIoScenarios.map(({ title, run }) => ({ library: "socket.io", title, run })),
  { library: "graphql-ws", title: "streams 200 results of a subscription", run: subscription },
  { library: "graphql-ws", title: "is refused with 4403, and with 4408 when it says nothing", run: refusals },
  { library: "y-websocket", title: "two documents become one", run: twoDocuments },
  ...([0, 1, 2] as const).map((qos) => ({
    library: "mqtt",
    title: `brings messages of quality ${qos}`,
    run: (place: Place) => messages(place, qos),
  })),
  { library: "stompjs", title: "subscribes, sends and keeps its heart beating", run: stomp },
  { library: "rpc-websockets", title: "calls, errors and events", run: rpc },
  { library: "partysocket", title: "comes back after a restart, with what was said meanwhile", run: comesBack },
];

async function subscription({ ws }: Place): Promise<void> {
  const client = createClient({ url: ws("graphql"), webSocketImpl: WebSocket });
  const counts: unknown[] = [];
  for await (const { data } of client.iterate({ query: "subscription { count(to: 200) }" }))
    counts.push(data?.["count"]);
  await client.dispose();
  deepEqual(
    counts,
    Array.from({ length: 200 }, (_, at) => at + 1),
  );
}

async function refusals({ ws }: Place): Promise<void> {
  const refused = createClient({
    url: ws("graphql"),
    webSocketImpl: WebSocket,
    connectionParams: { token: "wrong" },
    retryAttempts: 0,
  });
  const refusal = new Promise((resolve) => {
    refused.subscribe({ query: "{ hello }" }, { next: resolve, complete: () => resolve("complete"), error: resolve });
  });
  const silent = new WebSocket(ws("graphql"), "graphql-transport-ws");
  const [silentCode] = await once(silent, "close");
  await refused.dispose();
  // An event's fields are its class's, which a comparison of objects does not see.
  const code: unknown = Reflect.get(Object(await refusal), "code");
  deepEqual([code, silentCode], [4403, 4408]);
}

async function twoDocuments({ way, ws }: Place): Promise<void> {
  const docs = [new Doc(), new Doc()];
  const providers = docs.map(
    (doc) =>
      new WebsocketProvider(ws("yjs"), way, doc, {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the provider asks for what both classes have
        WebSocketPolyfill: WebSocket as unknown as typeof globalThis.WebSocket,
        disableBc: true,
      }),
  );
  await Promise.all(providers.map((provider) => new Promise((resolve) => provider.once("sync", resolve))));
  const [mine, yours] = docs.map((doc) => doc.getArray<number>(way));
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
  // Each has a timer for the presence of others.
  for (const doc of docs) doc.destroy();
  deepEqual(mine?.toJSON(), yours?.toJSON());
  deepEqual(
    mine?.toJSON().toSorted(),
    Array.from({ length: 20 }, (_, at) => Math.floor(at / 2)),
  );
}

async function messages({ way, ws }: Place, qos: 0 | 1 | 2): Promise<void> {
  const topic = `${way}/${qos}`;
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
  deepEqual(
    got,
    Array.from({ length: 50 }, (_, at) => String(at)),
  );
}

async function stomp({ way, ws }: Place): Promise<void> {
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
    client.subscribe(`/topic/${way}`, ({ body }) => {
      if (got.push(body) === 20) resolve(undefined);
    });
  });
  for (let at = 0; at < 20; at += 1) client.publish({ destination: `/topic/${way}`, body: `message ${at}` });
  await all;
  const isAlive = client.connected;
  await client.deactivate();
  deepEqual(
    got,
    Array.from({ length: 20 }, (_, at) => `message ${at}`),
  );
  ok(isAlive);
}

async function rpc({ ws }: Place): Promise<void> {
  const client = new RpcClient(ws("json-rpc"), { reconnect: false });
  await once(client, "open");
  equal(await client.call("sum", [2, 3]), 5);
  await rejects(client.call("fail"), { data: "on purpose" });
  await client.subscribe("news");
  const news = once(client, "news");
  equal(await client.call("tell", ["it works"]), "told");
  deepEqual(await news, ["it works"]);
  client.close();
}

async function comesBack({ ws }: Place): Promise<void> {
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
  deepEqual({ got, codes: codes.slice(0, 1) }, { got: ["before", "after"], codes: [1012] });
}
