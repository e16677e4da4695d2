import { createClient, type Client, type ClientOptions } from "graphql-ws";
import { WebSocket } from "ws";
import type { GraphqlCase, More } from "./graphql-script.ts";
import type { GraphqlStage } from "./graphql-stage.ts";

/** A client of graphql-ws on a stage, whose journal gets its events; it comes back only where `options` say so. */
export function actor(stage: GraphqlStage, options: Partial<ClientOptions> = {}): Client {
  const { client: journal } = stage;
  let ids = 0;
  return createClient({
    // Not before the server knows that the former connection is over: its journal has them one after the other.
    url: () => stage.isLeft().then(() => stage.url),
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    retryWait: () => Promise.resolve(),
    generateID: () => String((ids += 1)),
    onNonLazyError: (error) => journal.write("lost", told(error)),
    on: {
      connecting: (isAgain) => {
        stage.dialled += 1;
        journal.write("connecting", isAgain ? "again" : "");
      },
      connected: (_socket, payload, wasAgain) => journal.write("connected", payload, wasAgain ? "again" : ""),
      ping: (isReceived, payload) => journal.write(isReceived ? "hears ping" : "says ping", payload),
      pong: (isReceived, payload) => journal.write(isReceived ? "hears pong" : "says pong", payload),
      error: (error) => journal.write("error", told(error)),
      closed: (event) => journal.write("closed", told(event)),
    },
    ...options,
  });
}

/** An operation that is under way. */
export interface Asked {
  readonly stop: () => void;
  /** Resolves when it has ended, well or not. */
  readonly ended: Promise<unknown>;
}

/** Asks for something; the journal gets what comes of it, under this name. */
export function asks(stage: GraphqlStage, client: Client, query: string, name = ""): Asked {
  const { client: journal } = stage;
  let stop = () => undefined as void;
  const ended = new Promise((resolve) => {
    stop = client.subscribe(
      { query },
      {
        next: (result) => journal.write("next", name, result),
        error: (error) => {
          journal.write("fails", name, told(error));
          resolve(undefined);
        },
        complete: () => {
          journal.write("done", name);
          resolve(undefined);
        },
      },
    );
  });
  return { stop, ended };
}

/** Asks for one thing, until it has ended. */
export function once(stage: GraphqlStage, client: Client, query = "{ hello }"): Promise<unknown> {
  return asks(stage, client, query).ended;
}

/** A client that does this. */
export function asking(query: string) {
  return (stage: GraphqlStage, client: Client) => once(stage, client, query);
}

/** An error or a close in words: an event's fields are its class's, which a journal would not show. */
function told(error: unknown): string {
  if (Array.isArray(error)) return JSON.stringify(error);
  const of = Object(error);
  const code: unknown = Reflect.get(of, "code");
  const words = typeof code === "number" ? [code, Reflect.get(of, "reason")] : [Reflect.get(of, "message")];
  return words.filter((word) => word !== "").join(" ");
}

/** What both see of a client's only connection, besides how it begins and ends. */
export interface Scene extends More {
  readonly client: readonly string[];
  readonly server?: readonly string[];
  /** How it is closed; default by the client when nobody asks any more. */
  readonly end?: string;
  /** What the client sees after that. */
  readonly after?: readonly string[];
}

/** A client that does this, with these options, on one connection. */
export function does(
  title: string,
  options: Partial<ClientOptions>,
  act: (stage: GraphqlStage, client: Client) => unknown,
  { client, server = [], end = "1000 Normal Closure", after = [], ...more }: Scene,
): GraphqlCase {
  const isConnected = client[0]?.startsWith("connected") === true;
  const isTold = server[0]?.startsWith("connect") === true;
  return {
    title: `a client ${title}`,
    run: async (stage) => {
      await act(stage, actor(stage, options));
    },
    sees: {
      client: ["connecting", ...client, `closed ${end}`, ...after],
      server: [
        ...(isConnected && !isTold ? ["connect"] : []),
        ...server,
        ...(isConnected ? [`disconnect ${end}`] : []),
        `closed ${end}`,
      ],
    },
    ...more,
  };
}
