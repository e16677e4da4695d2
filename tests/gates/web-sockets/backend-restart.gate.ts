import { isDeepStrictEqual } from "node:util";
import { startGateway } from "../../support/gateway.ts";
import type { Proof } from "../../support/proof.ts";
import { graphqlPeer } from "../../support/web-socket-peers/graphql.ts";
import {
  GRAPHQL_GETS,
  graphqlLivesOn,
  MQTT_GETS,
  mqttLivesOn,
  type LivedOn,
} from "../../support/web-socket-peers/living-on.ts";
import { mqttPeer } from "../../support/web-socket-peers/mqtt.ts";
import type { Peer } from "../../support/web-socket-peers/peer.ts";
import { openHeld, type HeldClient } from "../../support/web-socket/held-client.ts";
import { WebSocketOrigin } from "../../support/web-socket/origin.ts";
import { ANY_RATE, each, rows } from "../../support/web-socket/proofs.ts";
import { startRelayed } from "../../support/web-socket/relayed.ts";

const CLIENTS = 50;
const AWAY_MS = 4_000;

/** A backend is killed and comes back within five seconds: no client notices. */
export async function run(): Promise<readonly Proof[]> {
  return [
    ...(await rows("clients of a backend that is away", echoes)),
    ...(await rows("graphql-ws over a restart", () =>
      livesOn("graphql-ws", graphqlPeer, graphqlLivesOn, GRAPHQL_GETS),
    )),
    ...(await rows("MQTT over a restart", () => livesOn("MQTT", mqttPeer, mqttLivesOn, MQTT_GETS))),
  ];
}

async function echoes(): Promise<readonly Proof[]> {
  const relayed = await startRelayed({ held: { held: { upstreamReconnect: true }, ...ANY_RATE } });
  let { origin } = relayed;
  try {
    const url = `${relayed.gateway.url}/held/echo`;
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => openHeld(url)));
    const port = Number(new URL(origin.url).port);
    say(clients, "before");
    await heard(clients, "before");
    await origin.stop();
    say(clients, "meanwhile");
    // How long it is away is what is promised about; nothing happens meanwhile.
    await new Promise((resolve) => setTimeout(resolve, AWAY_MS));
    origin = await WebSocketOrigin.start(port);
    await heard(clients, "meanwhile");
    const noticed = clients.filter(({ told }) => told.length > 1).map(({ told }) => told.slice(1).join(" "));
    for (const { socket } of clients) socket.close();
    return [each(`clients that notice nothing of a backend that is away for ${AWAY_MS / 1_000} s`, CLIENTS, noticed)];
  } finally {
    await relayed.gateway.kill();
    await origin.stop();
  }
}

/** The first message, said again, is all that the server needs to know of a client. */
async function livesOn(
  name: string,
  start: (port?: number) => Promise<Peer>,
  live: (url: string, restart: () => Promise<void>) => Promise<LivedOn>,
  wanted: readonly unknown[],
): Promise<readonly Proof[]> {
  let peer = await start();
  const { port } = peer;
  const webSocket = { held: { upstreamReconnect: { replayFirst: 1, maxDelay: "200ms" } } };
  const gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      routes: [{ id: "live", prefix: "/live", target: `http://127.0.0.1:${port}`, webSocket }],
    },
  });
  try {
    // Mosquitto and graphql-ws are both met below the route.
    const path = name === "MQTT" ? "/live/mqtt" : "/live";
    const lived = await live(`${gateway.url.replace("http", "ws")}${path}`, async () => {
      await peer.stop();
      peer = await start(port);
    });
    return [
      {
        promise: `${name}: connections lost by a session over a restart, with replayFirst 1`,
        bound: "0, and all answers",
        figure: `${lived.closes}, and ${lived.got.length} of ${wanted.length}`,
        pass: lived.closes === 0 && isDeepStrictEqual(lived.got, wanted),
      },
    ];
  } finally {
    await gateway.kill();
    await peer.stop();
  }
}

function say(clients: readonly HeldClient[], text: string): void {
  for (const { socket } of clients) socket.send(text);
}

async function heard(clients: readonly HeldClient[], text: string): Promise<void> {
  await Promise.all(
    clients.map((client) => client.until(() => client.got.includes(text) || client.socket.readyState !== 1)),
  );
}
