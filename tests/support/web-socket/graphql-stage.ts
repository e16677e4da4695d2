import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { buildSchema, execute, parse, subscribe, validate } from "graphql";
import { handleProtocols, type ServerOptions } from "graphql-ws";
import { useServer, type Extra } from "graphql-ws/use/ws";
import { WebSocketServer, type RawData, type WebSocket } from "ws";
import { Feed } from "./graphql-feed.ts";
import { Journal } from "./graphql-journal.ts";

/** What a case asks of graphql-ws's server, besides its schema. */
export type Options = Partial<ServerOptions<Record<string, unknown>, Extra>>;
/** A server that does as a case wants, in place of graphql-ws's. */
export type Impostor = (message: Readonly<Record<string, unknown>>, socket: WebSocket) => void;

const SCHEMA = buildSchema(`
  type Query {
    hello(to: String = "world"): String
    echo(text: String): String
    letters(count: Int!): String
    slow: String
    who: String
    fails: String
    missing: String!
  }
  type Mutation {
    add(by: Int!): Int
  }
  type Subscription {
    count(to: Int!): Int
    ticks(of: String = "all"): Int
    breaks: Int
    refused: Int
  }
`);

/** A GraphQL server of one case's own, behind one URL, and what it and its client saw. */
export class GraphqlStage {
  readonly client = new Journal();
  readonly server = new Journal();
  /** Where the client meets the server. */
  readonly url: string;
  /** Connections that the client has begun. */
  dialled = 0;
  /** Those that the server has got. */
  #taken = 0;
  #sum = 0;
  readonly #feeds = new Map<string, Feed>();
  #answerSlow: (text: string) => void = () => undefined;
  #sockets = new WebSocketServer({ noServer: true });
  #refusal: number | undefined;
  #stop: () => unknown = () => undefined;

  constructor(url: string) {
    this.url = url;
  }

  /** Who takes connections. */
  get sockets(): WebSocketServer {
    return this.#sockets;
  }

  /** Starts graphql-ws's server. */
  serve(options: Options): void {
    this.#sockets = new WebSocketServer({ noServer: true });
    this.#sockets.on("connection", () => (this.#taken += 1));
    // Those of the package's own come from another build of graphql, for which this schema is none.
    const graphql = { schema: SCHEMA, execute, subscribe, parse, validate };
    // A slow machine is no client that does not begin.
    const more = { roots: this.#roots(), context: (ctx: object) => ctx, connectionInitWaitTimeout: 60_000 };
    const server = useServer({ ...graphql, ...more, ...options, ...this.#witnessed(options) }, this.#sockets);
    this.#stop = () => server.dispose();
  }

  /** Starts a server that knows the subprotocol and nothing more. */
  pretend(impostor: Impostor): void {
    this.#sockets.options.handleProtocols = handleProtocols;
    this.#sockets.on("connection", (socket) => {
      this.#taken += 1;
      socket.on("message", (data) => {
        this.server.message(data);
        impostor(parsed(data), socket);
      });
      socket.on("close", (code, reason) => this.server.write("closed", code, reason.toString()));
    });
  }

  /** Takes no connection any more; handshakes are answered with this status. */
  refuse(status: number): void {
    this.#refusal = status;
  }

  /** A handshake that has come. */
  take(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#refusal !== undefined) {
      socket.end(`HTTP/1.1 ${this.#refusal} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
      return;
    }
    const sockets = this.#sockets;
    sockets.handleUpgrade(request, socket, head, (taken) => sockets.emit("connection", taken, request));
  }

  /** A new server takes over, and the old one says goodbye to its clients. */
  async restart(): Promise<void> {
    const stop = this.#stop;
    this.serve({});
    await stop();
  }

  /** The connection that is open. */
  socket(): WebSocket {
    const [socket] = this.#sockets.clients;
    if (socket === undefined) throw new Error("nobody is connected");
    return socket;
  }

  /** A value for who subscribes to these ticks. */
  tick(value: number, of = "all"): void {
    this.#feed(of).push(value);
  }

  /** Lets the latest slow query have its answer. */
  answer(text: string): void {
    this.#answerSlow(text);
  }

  /** What both have seen so far. */
  verdict(): { readonly client: readonly string[]; readonly server: readonly string[] } {
    return { client: [...this.client.lines], server: [...this.server.lines] };
  }

  /** Resolves once each connection has ended at both ends. */
  async settled(): Promise<void> {
    await this.client.until(() => this.client.count("closed") >= this.dialled);
    await this.isLeft();
  }

  /** Resolves once the server knows of no connection. */
  isLeft(): Promise<void> {
    return this.server.until(() => this.server.count("closed") >= this.#taken);
  }

  /** Ends whatever is left. */
  end(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
  }

  #feed(of: string): Feed {
    const feed = this.#feeds.get(of) ?? new Feed("ticks", () => this.#drop(of));
    this.#feeds.set(of, feed);
    return feed;
  }

  #drop(of: string): void {
    this.#feeds.delete(of);
    this.server.write("returned", of);
  }

  #roots() {
    return {
      query: {
        hello: ({ to }: { readonly to: string }) => to,
        echo: ({ text }: { readonly text: string }) => text,
        letters: ({ count }: { readonly count: number }) => "x".repeat(count),
        slow: () => {
          this.server.write("slow");
          return new Promise<string>((resolve) => (this.#answerSlow = resolve));
        },
        who: (_args: unknown, { connectionParams }: { readonly connectionParams?: Record<string, unknown> }) =>
          connectionParams?.["who"],
        fails: () => {
          throw new Error("no luck");
        },
        missing: () => null,
      },
      mutation: { add: ({ by }: { readonly by: number }) => (this.#sum += by) },
      subscription: {
        async *count({ to }: { readonly to: number }) {
          for (let count = 1; count <= to; count += 1) yield { count };
        },
        ticks: ({ of }: { readonly of: string }) => this.#feed(of),
        async *breaks() {
          yield { breaks: 1 };
          throw new Error("broken");
        },
        refused: () => {
          throw new Error("refused");
        },
      },
    };
  }

  #witnessed(options: Options): Options {
    const { server } = this;
    return {
      onConnect: (ctx) => {
        server.write("connect", ctx.connectionParams);
        return options.onConnect?.(ctx);
      },
      onPing: (_ctx, payload) => server.write("ping", payload),
      onPong: (_ctx, payload) => server.write("pong", payload),
      onSubscribe: (ctx, id, payload) => {
        server.write("subscribe", id);
        return options.onSubscribe?.(ctx, id, payload);
      },
      onComplete: (_ctx, id) => server.write("complete", id),
      onDisconnect: (_ctx, code, reason) => server.write("disconnect", code, reason),
      onClose: (_ctx, code, reason) => server.write("closed", code, reason),
    };
  }
}

function parsed(data: RawData): Record<string, unknown> {
  // oxlint-disable-next-line typescript/no-base-to-string -- ws gives a Buffer
  return { ...Object(JSON.parse(data.toString())) };
}
