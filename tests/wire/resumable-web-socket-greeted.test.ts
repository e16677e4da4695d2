import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocketServer, type WebSocket as ServerSocket } from "ws";
import { ResumableWebSocket } from "../../clients/websocket/resumable-web-socket.ts";
import { ResumeRelay } from "../support/web-socket/resume-relay.ts";
import { openHeld, type HeldClient } from "../support/web-socket/held-client.ts";

/** What a gateway says first, which is no message. */
const hello = (recv: number, epoch = "e") => `\u0000fg:hello{"epoch":"${epoch}","recv":${recv},"restarts":0}`;

let client: HeldClient;

afterEach(() => client?.socket.close());

/** Opens a client, which has learned then that it will be greeted. */
async function learned(url: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const get: typeof fetch = async (...args) => {
    const response = await fetch(...args);
    const read = async (): Promise<unknown> => {
      const document: unknown = await Response.prototype.json.call(response);
      // Behind what the client does with it.
      setTimeout(resolve, 0);
      return document;
    };
    return Object.assign(response, { json: read });
  };
  client = await openHeld(url, { fetch: get });
  await promise;
}

describe("a client that is greeted when it comes back", () => {
  let relay: ResumeRelay;

  beforeEach(async () => {
    relay = await ResumeRelay.start();
  });

  afterEach(() => relay.stop());

  async function opened() {
    await learned(relay.url);
    const [session] = relay.sessions;
    if (session === undefined) throw new Error("the relay has no session");
    return session;
  }

  it("asks nothing, and shows no greeting; what the backend says is as it was said", async () => {
    const session = await opened();
    session.reset();
    session.send("one");
    client.socket.send("two");
    await client.until(() => client.told.includes("resumed"));
    session.send(hello(7, session.resume.status().epoch));
    await client.until(() => client.got.length === 2);
    await relay.until(() => session.got.length === 1);
    expect([client.got, session.got]).toEqual([["one", hello(7, session.resume.status().epoch)], ["two"]]);
    const [first, status, second, ...more] = relay.asked.map((query) => new URLSearchParams(query));
    expect([first, status, second].map((query) => query?.get("_ws_hello"))).toEqual([null, null, "1"]);
    expect([more, relay.gets]).toEqual([[], 1]);
  });

  it("asks where another gateway takes it in that greets nobody, at once if that says something else", async () => {
    const session = await opened();
    relay.greets = false;
    session.reset();
    client.socket.send("one");
    const fake = hello(0, "of a backend");
    session.send(fake);
    session.send("two");
    await client.until(() => client.got.length === 2);
    await relay.until(() => session.got.length === 1);
    expect([client.got, session.got, relay.gets]).toEqual([[fake, "two"], ["one"], 2]);
  });

  it("asks where another gateway takes it in that greets nobody, though nothing is said", async () => {
    const session = await opened();
    relay.greets = false;
    session.reset();
    client.socket.send("one");
    await client.until(() => client.told.includes("resumed"));
    await relay.until(() => session.got.length === 1);
    session.send("two");
    await client.until(() => client.got.length === 1);
    expect([client.got, session.got, relay.gets]).toEqual([["two"], ["one"], 2]);
  });
});

describe("a gateway that greets", () => {
  let sockets: WebSocketServer;
  let port: number;
  /** What it has of the client. */
  let got: string[];
  let gets: number;
  /** Connections that have come, and who waits for the next. */
  let came: ServerSocket[];
  let waiters: (() => void)[];
  let stop: () => Promise<unknown>;

  beforeEach(async () => {
    [got, came, waiters, gets] = [[], [], [], 0];
    const server = createServer((_request, response) => {
      gets += 1;
      const document = { epoch: "e", recv: got.length, restarts: 0, connection: came.length, over: false, hello: true };
      response.setHeader("content-type", "application/json").end(JSON.stringify(document));
    });
    sockets = new WebSocketServer({ server });
    sockets.on("connection", (socket) => {
      came.push(socket);
      socket.on("message", (data: Buffer) => {
        if (came.at(-1) === socket) got.push(data.toString());
        for (const waiter of waiters.splice(0)) waiter();
      });
      for (const waiter of waiters.splice(0)) waiter();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that listens on TCP has such an address
    ({ port } = server.address() as AddressInfo);
    stop = async () => {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    };
  });

  afterEach(() => stop());

  async function until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => waiters.push(resolve));
  }

  async function connection(count: number): Promise<ServerSocket> {
    await until(() => came.length >= count);
    const socket = came[count - 1];
    if (socket === undefined) throw new Error("no connection");
    return socket;
  }

  async function opened(): Promise<ServerSocket> {
    await learned(`ws://127.0.0.1:${port}/`);
    const first = await connection(1);
    first.send("A");
    await client.until(() => client.got.length === 1);
    return first;
  }

  it("late, has a client that has asked meanwhile: it sends nothing twice, and counts no greeting", async () => {
    (await opened()).terminate();
    client.socket.send("one");
    const second = await connection(2);
    await client.until(() => client.told.includes("resumed"));
    await until(() => got.length === 1);
    second.send(hello(0));
    second.send("B");
    client.socket.send("two");
    await client.until(() => client.got.length === 2);
    await until(() => got.length === 2);
    expect([client.got, got, gets]).toEqual([["A", "B"], ["one", "two"], 2]);
    expect(client.told.filter((what) => what === "resumed")).toHaveLength(1);
  });

  it("and closes what it has not greeted with a code of its own has refused it for now: the session goes on", async () => {
    (await opened()).terminate();
    (await connection(2)).close(4_429, "rate-limited");
    (await connection(3)).send(hello(0));
    await client.until(() => client.told.includes("resumed"));
    expect([client.socket.readyState, gets]).toEqual([ResumableWebSocket.OPEN, 1]);
  });

  it("and closes then has ended the session, with the backend's own code", async () => {
    (await opened()).terminate();
    const second = await connection(2);
    second.send(hello(0));
    second.send("last words");
    second.close(4_001, "done");
    await client.until(() => client.told.includes("close 4001 done"));
    expect([client.got, gets]).toEqual([["A", "last words"], 1]);
  });
});
