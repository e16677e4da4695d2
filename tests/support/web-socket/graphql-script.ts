import { once } from "node:events";
import { WebSocket } from "ws";
import type { GraphqlStage, Impostor, Options } from "./graphql-stage.ts";

/** What client and server saw, in words. */
export interface Verdict {
  readonly client: readonly string[];
  readonly server: readonly string[];
}

/** What a case may have besides what is done and seen. */
export interface More {
  /** Options of the server. */
  readonly options?: Options;
  /** A server in place of it. */
  readonly impostor?: Impostor;
  /** The status with which handshakes are answered. */
  readonly refusal?: number;
  /** Who is cut off without a Close, which is 1006 to the other; a bridge says 1014 to clients, 1001 to origins. */
  readonly cut?: "client" | "server";
  /** Lines are counted by their kind; of those in turn, no number may be less than the one before. */
  readonly isLong?: "in turn" | "in any order";
}

/** Something that a client and a server do, and what both see of it. */
export interface GraphqlCase extends More {
  readonly title: string;
  /** Rejects where it goes wrong. */
  readonly run: (stage: GraphqlStage) => Promise<void>;
  readonly sees: Verdict;
}

/** One step of a client that knows no library: so many messages to hear, something to say, or to do. */
export type Step = number | string | Uint8Array | object | ((stage: GraphqlStage, socket: WebSocket) => unknown);

/** The subprotocol. */
export const PROTOCOL = "graphql-transport-ws";
/** What a client says first. */
export const INIT = { type: "connection_init" };
/** Leaves in peace. */
export const BYE = leave(1000, "bye");
const PEACE = "1000 bye";

/** Says that it wants this. */
export function ask(id: string, query: string, more: object = {}): object {
  return { type: "subscribe", id, payload: { query, ...more } };
}

/** Closes with this. */
export function leave(code?: number, reason?: string): Step {
  return (_stage: GraphqlStage, socket: WebSocket) => socket.close(code, reason);
}

/** Waits until the server has lines that begin with this. */
export function seen(word: string, times = 1): Step {
  return (stage: GraphqlStage) => stage.server.has(word, times);
}

/** A client that takes these steps. */
export function steps(all: readonly Step[], protocols: readonly string[] = [PROTOCOL]): GraphqlCase["run"] {
  return async (stage) => {
    const socket = new WebSocket(stage.url, [...protocols]);
    stage.dialled += 1;
    let heard = 0;
    socket.on("message", (data) => {
      heard += 1;
      stage.client.message(data);
    });
    socket.on("error", ({ message }) => stage.client.write("error", message));
    socket.on("close", (code, reason) => stage.client.write("closed", code, reason.toString()));
    await once(socket, "open").catch(() => undefined);
    let wanted = 0;
    for (const step of all) {
      if (typeof step === "number") {
        wanted += step;
        await stage.client.until(() => heard >= wanted);
        continue;
      }
      if (typeof step === "function") await step(stage, socket);
      else socket.send(typeof step === "string" || step instanceof Uint8Array ? step : JSON.stringify(step));
    }
  };
}

/** A client that begins and takes these steps; it leaves in peace unless something else is the end that both see. */
export function begun(
  title: string,
  all: readonly Step[],
  client: readonly string[],
  server: readonly string[],
  { end = PEACE, ...more }: More & { readonly end?: string } = {},
): GraphqlCase {
  return {
    title,
    run: steps([INIT, 1, ...all, ...(end === PEACE ? [BYE] : [])]),
    sees: {
      client: ["connection_ack", ...client, `closed ${end}`],
      server: ["connect", ...server, `disconnect ${end}`, `closed ${end}`],
    },
    ...more,
  };
}

/** The same of one that has not begun when it comes to its end. */
export function unbegun(
  title: string,
  all: readonly Step[],
  client: readonly string[],
  server: readonly string[],
  { end = PEACE, protocols, ...more }: More & { readonly end?: string; readonly protocols?: readonly string[] } = {},
): GraphqlCase {
  return {
    title,
    run: steps([...all, ...(end === PEACE ? [BYE] : [])], protocols),
    sees: { client: [...client, `closed ${end}`], server: [...server, `closed ${end}`] },
    ...more,
  };
}
