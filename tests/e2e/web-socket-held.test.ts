import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { openHeld } from "../support/web-socket/held-client.ts";
import { WebSocketOrigin } from "../support/web-socket/origin.ts";
import { listening, numbered } from "../support/web-socket/storm.ts";
import { GRAPHQL_GETS, graphqlLivesOn, MQTT_GETS, mqttLivesOn } from "../support/web-socket-peers/living-on.ts";
import { graphqlPeer } from "../support/web-socket-peers/graphql.ts";
import { mqttPeer } from "../support/web-socket-peers/mqtt.ts";
import type { Peer } from "../support/web-socket-peers/peer.ts";

/** However busy the machine is. */
const BEGIN_MS = 30_000;
const RECONNECT = { upstreamReconnect: { replayFirst: 1, maxDelay: "200ms" } };

describe("a backend that is killed and comes back", () => {
  const peers: Record<string, Peer> = {};
  let gateway: Gateway;
  let echo: WebSocketOrigin;

  beforeAll(async () => {
    echo = await WebSocketOrigin.start();
    peers["graphql"] = await graphqlPeer(0, BEGIN_MS);
    peers["mqtt"] = await mqttPeer();
    const targets = { graphql: peers["graphql"].port, mqtt: peers["mqtt"].port, echo: Number(new URL(echo.url).port) };
    gateway = await startGateway({
      config: {
        allowPrivateTargets: true,
        routes: Object.entries(targets).map(([id, port]) => ({
          id,
          prefix: `/${id}`,
          target: `http://127.0.0.1:${port}`,
          webSocket: { held: RECONNECT },
        })),
      },
    });
  });

  afterAll(async () => {
    await gateway.kill();
    await Promise.all([echo.stop(), ...Object.values(peers).map((peer) => peer.stop())]);
  });

  it("loses none of ten clients, and gets what they said meanwhile", async () => {
    const { port } = new URL(echo.url);
    const clients = await Promise.all(
      Array.from({ length: 10 }, () => {
        const socket = new WebSocket(`${gateway.url.replace("http", "ws")}/echo/echo`);
        const got: string[] = [];
        let ends = 0;
        socket.on("message", (data: Buffer) => got.push(data.toString()));
        socket.on("close", () => (ends += 1));
        const opened = new Promise((resolve) => socket.once("open", resolve));
        return opened.then(() => ({ socket, got, ends: () => ends }));
      }),
    );
    const heard = (text: string) =>
      Promise.all(
        clients.map(async ({ socket, got }) => {
          while (!got.includes(text)) await new Promise((resolve) => socket.once("message", resolve));
        }),
      );
    const saying = (text: string) => clients.forEach(({ socket }) => socket.send(text));
    saying("before");
    await heard("before");
    await echo.stop();
    saying("meanwhile");
    echo = await WebSocketOrigin.start(Number(port));
    await heard("before");
    await heard("meanwhile");
    saying("after");
    await heard("after");
    expect(clients.map(({ ends }) => ends())).toEqual(clients.map(() => 0));
    for (const { socket } of clients) socket.terminate();
  });

  it("graphql-ws: goes on with the same connection", async () => {
    const lived = await graphqlLivesOn(`${gateway.url.replace("http", "ws")}/graphql`, async () => {
      const port = peers["graphql"]?.port ?? 0;
      await peers["graphql"]?.stop();
      peers["graphql"] = await graphqlPeer(port, BEGIN_MS);
    });
    expect(lived).toEqual({ closes: 0, got: GRAPHQL_GETS });
  });

  it("MQTT: goes on with the same connection", async () => {
    const lived = await mqttLivesOn(`${gateway.url.replace("http", "ws")}/mqtt/mqtt`, async () => {
      const port = peers["mqtt"]?.port ?? 0;
      await peers["mqtt"]?.stop();
      peers["mqtt"] = await mqttPeer(port);
    });
    expect(lived).toEqual({ closes: 0, got: MQTT_GETS });
  });
});

describe("a gateway that is killed", () => {
  it("goes on with every stored session: nothing that was acknowledged is lost", async () => {
    const state = mkdtempSync(join(tmpdir(), "sluice-held-"));
    const origin = await WebSocketOrigin.start();
    const route = {
      id: "live",
      prefix: "/live",
      target: origin.url,
      webSocket: {
        held: { durable: true, upstreamReconnect: { ...RECONNECT.upstreamReconnect, skipAnswers: 0 } },
        fromClient: { messagesPerSecond: false },
      },
    };
    const config = { allowPrivateTargets: true, routes: [route] };
    let gateway = await startGateway({ config, state });
    const { port } = new URL(gateway.url);
    const sessions = await Promise.all(
      Array.from({ length: 10 }, async (_, index) => {
        const mark = `mark=${index}.`;
        const hasControl = index % 2 === 0;
        const client = await openHeld(`${gateway.url}/live/held?${mark}`, { control: hasControl });
        return { mark, hasControl, client, before: listening(await origin.accept(mark)) };
      }),
    );
    const half = 100;
    for (let n = 1; n <= half; n += 1) {
      for (const { client, before } of sessions) {
        client.socket.send(`c${n}`);
        before.peer.text(`s${n}`);
      }
    }
    await Promise.all(sessions.map(({ client }) => client.until(() => client.got.length > half / 2)));
    await gateway.kill();
    // What has come to the gateway in its last moments nobody else knows; what the client has got it has got.
    gateway = await startGateway({ config, state, port: Number(port) });
    const told = await Promise.all(
      sessions.map(async ({ mark, hasControl, client, before }) => {
        const anew = listening(await origin.accept(mark));
        await client.until(() => client.told.includes("resumed") || client.socket.readyState !== 1);
        for (let n = half + 1; n <= 2 * half; n += 1) {
          client.socket.send(`c${n}`);
          anew.peer.text(`t${n}`);
        }
        const last = `c${2 * half}`;
        await anew.until(() => anew.got.includes(last));
        await client.until(() => client.got.includes(`t${2 * half}`) || client.socket.readyState !== 1);
        const toOrigin = [...new Set([...before.got, ...anew.got])];
        const fromBefore = client.got.filter((text) => String(text).startsWith("s"));
        const fromAnew = client.got.filter((text) => String(text).startsWith("t"));
        // Who is asked by a plain GET may not have known how it was before.
        const events = client.told.filter((what) => what !== "reconnecting" && (hasControl || what !== "restarted"));
        return { told: events, hasControl, toOrigin, fromBefore, fromAnew, anew };
      }),
    );
    for (const one of told) {
      expect(one.told).toEqual(one.hasControl ? ["open", "resumed", "restarted"] : ["open", "resumed"]);
      expect(one.toOrigin.filter((text) => text.startsWith("c"))).toEqual(numbered("c", 2 * half));
      // In order, without a gap or a double, up to what the gateway knew.
      expect(one.fromBefore).toEqual(numbered("s", half).slice(0, one.fromBefore.length));
      expect(one.fromAnew).toEqual(Array.from({ length: half }, (_, index) => `t${half + 1 + index}`));
      expect(one.anew.got[0]).toBe("c1");
    }
    for (const { client } of sessions) client.socket.close();
    await gateway.kill();
    await origin.stop();
    rmSync(state, { recursive: true, force: true });
  });
});
