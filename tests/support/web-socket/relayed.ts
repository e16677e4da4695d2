import { type Gateway, startGateway } from "../gateway.ts";
import { shakeHands, type HandshakeOptions } from "./client.ts";
import type { Ends } from "./conformance.ts";
import { WebSocketOrigin } from "./origin.ts";

/** A session that is open. */
export interface OpenSession extends Ends {
  /** By which operators know it. */
  readonly id: string;
}

/** A gateway in front of an origin of WebSockets. */
export interface Relayed {
  readonly origin: WebSocketOrigin;
  readonly gateway: Gateway;
  /** Opens a session on `path` whose both ends are the test's. */
  open(path: string, options?: HandshakeOptions): Promise<OpenSession>;
  /** The first line of the log of this kind for which it holds; polls, as it comes from another process. */
  line(message: string, isIt: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
  /** Asks the admin API. */
  admin(method: string, path: string, body?: unknown): Promise<unknown>;
  /** Sends a text to the admin API. */
  say(path: string, text: string): Promise<void>;
  stop(): Promise<void>;
}

const PATIENCE_MS = 10_000;

/** Starts both. Each route is `webSocket` under its name, in front of the same origin, or of `target` where that is given. */
export async function startRelayed(
  routes: Readonly<Record<string, unknown>>,
  more: Readonly<Record<string, unknown>> = {},
  entry?: string,
  target?: string,
): Promise<Relayed> {
  const origin = await WebSocketOrigin.start();
  const gateway = await startGateway({
    ...(entry === undefined ? {} : { entry }),
    config: {
      allowPrivateTargets: true,
      routes: Object.entries(routes).map(([id, webSocket]) => ({
        id,
        prefix: `/${id}`,
        target: target ?? origin.url,
        webSocket,
      })),
      ...more,
    },
  }).catch(async (error: unknown) => {
    await origin.stop();
    throw error;
  });
  let opened = 0;
  return {
    origin,
    gateway,
    async open(path, options) {
      const session = `session=${(opened += 1)}.`;
      const opening = shakeHands(gateway.url, { path: `/${path}/held?${session}`, ...options }).then((made) => {
        if (made.kind === "open") return made;
        throw new Error(`the handshake was answered ${made.status}: ${made.body}`);
      });
      const [{ peer, headers }, upstream] = await Promise.all([opening, origin.accept(session)]);
      const [, id = ""] = headers.find(([name]) => name.toLowerCase() === "x-ws-session") ?? [];
      return { client: peer, upstream, id };
    },
    line: (message, isIt) =>
      eventually(`a line ${message}`, () => {
        const found = gateway.logs().find((line) => line["message"] === message && isIt(line));
        return Promise.resolve(found);
      }),
    async admin(method, path, body) {
      const response = await fetch(`${gateway.url}/admin/${path}`, {
        method,
        headers: { authorization: `Bearer ${gateway.adminToken}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return response.json();
    },
    async say(path, text) {
      const headers = { authorization: `Bearer ${gateway.adminToken}`, "content-type": "text/plain" };
      await (await fetch(`${gateway.url}/admin/${path}`, { method: "POST", headers, body: text })).text();
    },
    async stop() {
      // SIGTERM waits for sessions that are open.
      await gateway.kill();
      await origin.stop();
    },
  };
}

/** Polls for a value, since what is waited for happens in another process. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > until) throw new Error(`waited ${PATIENCE_MS} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
