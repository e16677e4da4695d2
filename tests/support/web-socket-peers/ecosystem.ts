import { startGateway } from "../gateway.ts";
import { ANY_RATE } from "../web-socket/proofs.ts";
import { echoPeer } from "./echo.ts";
import { graphqlPeer } from "./graphql.ts";
import { jsonRpcPeer } from "./json-rpc.ts";
import { mqttPeer } from "./mqtt.ts";
import type { Peer } from "./peer.ts";
import { socketIoPeer } from "./socket-io.ts";
import { stompPeer } from "./stomp.ts";
import { yjsPeer } from "./yjs.ts";

const PEERS = {
  "socket-io": socketIoPeer,
  graphql: graphqlPeer,
  yjs: yjsPeer,
  mqtt: mqttPeer,
  stomp: stompPeer,
  "json-rpc": jsonRpcPeer,
  echo: echoPeer,
} as const;
/** A server that a library's clients talk to. */
export type PeerName = keyof typeof PEERS;

/** How a client meets a server. */
export const WAYS = ["direct", "splice", "bridge"] as const;
/** One of them. */
export type Way = (typeof WAYS)[number];

/** Servers of real protocols, and the ways to them. */
export interface Place {
  /** Which of them; also a name for rooms and topics of its own. */
  readonly way: Way;
  /** Where a server is met, by http. */
  readonly http: (name: PeerName) => URL;
  /** The same by ws. */
  readonly ws: (name: PeerName, path?: string) => string;
}

/** All servers, and a gateway before them. */
export interface Ecosystem {
  place(way: Way): Place;
  stop(): Promise<void>;
}

/** Starts both. */
export async function startEcosystem(): Promise<Ecosystem> {
  const peers = new Map<string, Peer>();
  for (const [name, start] of Object.entries(PEERS)) peers.set(name, await start());
  const routes = [...peers].flatMap(([name, { port }]) => {
    const target = `http://127.0.0.1:${port}`;
    return [
      { prefix: `/splice/${name}`, target, webSocket: { mode: "splice" } },
      { prefix: `/bridge/${name}`, target, webSocket: { mode: "bridge", ...ANY_RATE } },
    ];
  });
  const gateway = await startGateway({ config: { routes, allowPrivateTargets: true } });
  return {
    place(way) {
      const http = (name: PeerName): URL => {
        const { port } = peers.get(name) ?? { port: 0 };
        return new URL(way === "direct" ? `http://127.0.0.1:${port}` : `${gateway.url}/${way}/${name}`);
      };
      const ws = (name: PeerName, path = "") => `${http(name).href.replace(/^http/, "ws").replace(/\/$/, "")}${path}`;
      return { way, http, ws };
    },
    async stop() {
      await gateway.stop();
      await Promise.all([...peers.values()].map((peer) => peer.stop()));
    },
  };
}
