import { EventEmitter } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { Connection } from "../connection.ts";
import type { Act } from "./act.ts";
import { endpointFor, type OriginContext } from "./endpoints.ts";
import { IncomingRequest, type SeenRequest } from "./seen-request.ts";
import { Turnstile } from "./turnstile.ts";

const AWAIT_DEADLINE_MS = 30_000;

/**
 * An HTTP/1.1 origin on raw TCP that behaves as its path says: `/fault/NAME` misbehaves (see faults.ts), the healthy
 * endpoints are in endpoints.ts, anything else echoes what it received as JSON.
 */
export class Origin {
  readonly #server: Server = createServer((socket) => void this.#serve(socket));
  readonly #sockets = new Set<Socket>();
  readonly #seen: IncomingRequest[] = [];
  readonly #answers = new Map<string, readonly Act[]>();
  readonly #turnstile = new Turnstile();
  readonly #changes = new EventEmitter().setMaxListeners(0);
  #connections = 0;
  #busy = 0;

  /** Listens on a free loopback port. */
  static async start(): Promise<Origin> {
    const origin = new Origin();
    await listen(origin.#server);
    return origin;
  }

  /** `http://127.0.0.1:PORT`. */
  get url(): string {
    return urlOf(this.#server);
  }

  /** Every request received, oldest first. */
  get seen(): readonly SeenRequest[] {
    return this.#seen;
  }

  /** The requests received for a path prefix, oldest first. */
  seenAt(prefix: string): readonly SeenRequest[] {
    return this.#seen.filter((request) => request.target.startsWith(prefix));
  }

  /** Connections open now, idle ones of a connection pool included. */
  get openConnections(): number {
    return this.#sockets.size;
  }

  /** Requests being received or answered now. */
  get busy(): number {
    return this.#busy;
  }

  /** Answers requests for this exact path with these acts. */
  answer(path: string, ...acts: readonly Act[]): void {
    this.#answers.set(path, acts);
  }

  /** Lets the next waiting endpoint, or the next that will wait, go on. */
  release(): void {
    this.#turnstile.release();
  }

  /** Resolves when the claim about this origin holds; rejects after 30 s, naming what was waited for. */
  async until(what: string, claim: (origin: this) => boolean): Promise<void> {
    const deadline = AbortSignal.timeout(AWAIT_DEADLINE_MS);
    while (!claim(this)) {
      await this.#nextChange(deadline, what);
    }
  }

  /** Closes the listener and every connection. */
  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(socket: Socket): Promise<void> {
    this.#sockets.add(socket);
    this.#connections += 1;
    const number = this.#connections;
    const peer = new Connection(socket);
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#changed();
    });
    this.#changed();
    try {
      while (await this.#serveOne(peer, number));
    } finally {
      peer.finish();
    }
  }

  async #serveOne(peer: Connection, number: number): Promise<boolean> {
    const request = await IncomingRequest.next(peer, number);
    if (request === undefined) return false;
    this.#seen.push(request);
    this.#busy += 1;
    this.#changed();
    try {
      return await endpointFor(request, this.#context)(peer, request, this.#context);
    } finally {
      this.#busy -= 1;
      this.#changed();
    }
  }

  readonly #context: OriginContext = {
    answers: this.#answers,
    counts: () => ({ openConnections: this.openConnections, busy: this.busy, requests: this.#seen.length }),
    released: (peer) => this.#turnstile.released(peer),
    together: (count) => this.#turnstile.together(count),
  };

  #changed(): void {
    this.#changes.emit("change");
  }

  #nextChange(deadline?: AbortSignal, what = ""): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = (): void => reject(new Error(`waited ${AWAIT_DEADLINE_MS} ms for ${what}`));
      deadline?.addEventListener("abort", late, { once: true });
      this.#changes.once("change", () => {
        deadline?.removeEventListener("abort", late);
        resolve();
      });
    });
  }
}

/** An address where nobody listens: connections are refused. */
export async function refusingUrl(): Promise<string> {
  const server = createServer();
  await listen(server);
  const url = urlOf(server);
  await new Promise((resolve) => server.close(resolve));
  return url;
}

/** An origin that accepts every connection and ends it at once, before it reads a byte. */
export async function startClosingOrigin(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.destroy();
  });
  await listen(server);
  return { url: urlOf(server), stop: () => new Promise((resolve) => server.close(() => resolve())) };
}

async function listen(server: Server): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
}

function urlOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the origin is not listening");
  const { port }: AddressInfo = address;
  return `http://127.0.0.1:${port}`;
}
