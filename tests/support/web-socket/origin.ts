import { createHash } from "node:crypto";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { type HeaderLines, parseHead } from "../message-head.ts";
import { headOf } from "./client.ts";
import { OPCODES } from "./frames.ts";
import { Peer } from "./peer.ts";

/** A handshake that an origin has got. */
export interface SeenHandshake {
  readonly target: string;
  readonly headers: HeaderLines;
  readonly rawHead: string;
}

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/**
 * An origin of WebSockets on raw sockets. By the end of the path: `/echo` sends back every frame of data as it came; `/held` leaves
 * everything to the test; `/hang` never answers the handshake; anything else gets `answers` of it, or 404.
 */
export class WebSocketOrigin {
  readonly seen: SeenHandshake[] = [];
  /** Raw answers by path. */
  readonly answers = new Map<string, string>();
  /** What answers wait for, by path. */
  readonly gates = new Map<string, Promise<void>>();
  /** Fields of every 101, as they are on the wire. */
  fields = "";
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #peers: { readonly target: string; readonly peer: Peer }[] = [];
  readonly #hanging = new Set<Socket>();
  #waiters: (() => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => undefined);
      void this.#serve(socket).catch(() => socket.destroy());
    });
  }

  static async start(port = 0): Promise<WebSocketOrigin> {
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    return new WebSocketOrigin(server);
  }

  get url(): string {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that listens on TCP has such an address
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  /** Connections at `/hang` that are not closed. */
  get hanging(): number {
    return this.#hanging.size;
  }

  /** The session at `/held` whose target holds this text, or the next one, that nobody has taken. */
  async accept(text = ""): Promise<Peer> {
    for (;;) {
      const at = this.#peers.findIndex(({ target }) => target.includes(text));
      const [taken] = at < 0 ? [] : this.#peers.splice(at, 1);
      if (taken !== undefined) return taken.peer;
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(socket: Socket): Promise<void> {
    const { head, rest } = await headOf(socket);
    const { firstLine, headers } = parseHead(head);
    const target = firstLine.split(" ")[1] ?? "";
    this.seen.push({ target, headers, rawHead: head });
    for (const waiter of this.#waiters.splice(0)) waiter();
    const path = target.split("?")[0] ?? "";
    await this.gates.get(path);
    const answer = this.answers.get(path);
    if (answer !== undefined) return void socket.resume().end(closing(answer));
    if (path.endsWith("/hang")) {
      this.#hanging.add(socket);
      socket.resume().on("end", () => socket.destroy());
      socket.on("close", () => this.#hanging.delete(socket));
      return;
    }
    const field = (name: string) => headers.find(([one]) => one.toLowerCase() === name)?.[1];
    const key = field("sec-websocket-key");
    if (key === undefined)
      return void socket.resume().end(closing("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain"));
    const accept = createHash("sha1")
      .update(key + GUID)
      .digest("base64");
    const protocol = field("sec-websocket-protocol")?.split(",")[0]?.trim();
    const chosen = protocol === undefined ? "" : `Sec-WebSocket-Protocol: ${protocol}\r\n`;
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${chosen}${this.fields}\r\n`,
    );
    const peer = new Peer(socket, false, rest);
    if (path.endsWith("/echo")) return echo(peer);
    socket.on("end", () => socket.end());
    this.#peers.push({ target, peer });
    for (const waiter of this.#waiters.splice(0)) waiter();
  }
}

/** An answer that says what will become of its connection, on which another handshake would else be sent and lost now and then. */
function closing(answer: string): string {
  return /\r\nconnection:/i.test(answer) ? answer : answer.replace("\r\n", "\r\nConnection: close\r\n");
}

function echo(peer: Peer): void {
  peer.countOnly().behave();
  const behave = peer.onFrame;
  peer.onFrame = (frame) => {
    behave?.(frame);
    if (frame.opcode <= OPCODES.binary) peer.frame(frame.opcode, frame.payload, { fin: frame.fin, rsv: frame.rsv });
  };
  peer.socket.on("end", () => peer.finish());
}
