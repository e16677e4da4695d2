import { type Gateway, startGateway } from "../gateway.ts";
import { shakeHands, type Handshake, type HandshakeOptions } from "./client.ts";
import { EventBackend, type SeenEvent } from "./event-backend.ts";
import type { Peer } from "./peer.ts";

/** A gateway in front of a backend of events. */
export interface CallbackGateway {
  readonly backend: EventBackend;
  readonly gateway: Gateway;
  readonly open: (path: string, options?: HandshakeOptions) => Promise<OpenedCallback>;
  readonly admin: (method: string, path: string, body?: string, type?: string) => Promise<Response>;
  readonly stop: () => Promise<void>;
}

/** A session whose client is the test. */
export interface OpenedCallback {
  readonly peer: Peer;
  readonly id: string;
  readonly headers: Handshake["headers"];
}

/** Each route is `callback` under its name; `/plain` has no WebSockets. */
export function callbackConfig(target: string, routes: Readonly<Record<string, object>>): unknown {
  return {
    allowPrivateTargets: true,
    routes: [
      ...Object.entries(routes).map(([id, webSocket]) => ({
        id,
        prefix: `/${id}`,
        target,
        webSocket: { callback: {}, sessionsPerAddress: false, ...webSocket },
      })),
      { id: "plain", prefix: "/plain", target },
    ],
  };
}

/** Starts both. */
export async function startCallback(routes: Readonly<Record<string, object>>): Promise<CallbackGateway> {
  const backend = await EventBackend.start();
  const gateway = await startGateway({ config: callbackConfig(backend.url, routes) }).catch(async (error: unknown) => {
    await backend.stop();
    throw error;
  });
  return {
    backend,
    gateway,
    async open(path, options = {}) {
      const made = await shakeHands(gateway.url, { path, ...options });
      if (made.kind === "refused") throw new Error(`refused: ${made.status} ${made.body}`);
      const [, id = ""] = made.headers.find(([name]) => name.toLowerCase() === "x-ws-session") ?? [];
      return { peer: made.peer, id, headers: made.headers };
    },
    admin: (method, path, body, type = "text/plain") =>
      fetch(`${gateway.url}/admin/${path}`, {
        method,
        headers: { authorization: `Bearer ${gateway.adminToken}`, "content-type": type },
        ...(body === undefined ? {} : { body }),
      }),
    async stop() {
      await gateway.kill();
      await backend.stop();
    },
  };
}

/** What a backend was told, in short. */
export const shown = ({ name, sequence, body }: SeenEvent): readonly unknown[] => [name, sequence, body.toString()];
