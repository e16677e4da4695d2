import type { DuplexOptions } from "node:stream";
import { createClient } from "graphql-ws";
import { connectAsync } from "mqtt";
import { WebSocket } from "ws";

/** What a client saw over a restart of its server. */
export interface LivedOn {
  /** Connections that it lost. */
  readonly closes: number;
  /** What it got before and after. */
  readonly got: readonly unknown[];
}

/** As in browsers, each packet is one message; mqtt.js on Node would cut its first one into nine. */
const WHOLE_PACKETS = {
  writev(chunks, done) {
    // oxlint-disable-next-line no-underscore-dangle, typescript/no-unsafe-type-assertion -- what streams call it, and say of buffers
    this._write(Buffer.concat(chunks.map(({ chunk }: { chunk: Buffer }) => chunk)), "buffer" as BufferEncoding, done);
  },
} satisfies DuplexOptions;

/** A client of graphql-ws asks, its server restarts, and it asks again and subscribes. */
export async function graphqlLivesOn(url: string, restart: () => Promise<void>): Promise<LivedOn> {
  let closes = 0;
  const client = createClient({
    url,
    webSocketImpl: WebSocket,
    lazy: false,
    retryAttempts: 0,
    on: { closed: () => (closes += 1) },
  });
  const got: unknown[] = [];
  const ask = async (query: string) => {
    for await (const { data } of client.iterate({ query })) got.push({ ...data });
  };
  await ask("{ hello }");
  await restart();
  await ask("{ hello }");
  await ask("subscription { count(to: 3) }");
  const lived = { closes, got };
  await client.dispose();
  return lived;
}

/** What the former gets when all is well. */
export const GRAPHQL_GETS = [{ hello: "world" }, { hello: "world" }, { count: 1 }, { count: 2 }, { count: 3 }];

/** A client of MQTT subscribes and hears itself, its broker restarts, and it does so again. */
export async function mqttLivesOn(url: string, restart: () => Promise<void>): Promise<LivedOn> {
  const client = await connectAsync(url, { reconnectPeriod: 0, protocolVersion: 4, wsOptions: WHOLE_PACKETS });
  let closes = 0;
  client.on("close", () => (closes += 1));
  const got: string[] = [];
  client.on("message", (_topic, payload) => got.push(payload.toString()));
  const sayAndHear = async (text: string) => {
    await client.subscribeAsync("news", { qos: 1 });
    await client.publishAsync("news", text, { qos: 1 });
    while (!got.includes(text)) await new Promise((resolve) => client.once("message", resolve));
  };
  await sayAndHear("before");
  await restart();
  await sayAndHear("after");
  const lived = { closes, got };
  await client.endAsync();
  return lived;
}

/** What the former gets when all is well. */
export const MQTT_GETS = ["before", "after"];
