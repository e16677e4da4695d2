import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { WebSocketServer, type WebSocket as ServerSocket } from "ws";
import { ResumableWebSocket, type ResumableOptions } from "../../clients/websocket/resumable-web-socket.ts";
import type { Peer } from "../support/web-socket/peer.ts";
import { startRelayed, type Relayed } from "../support/web-socket/relayed.ts";

let relayed: Relayed;
let made: ResumableWebSocket[] = [];
let marks = 0;

beforeAll(async () => {
  relayed = await startRelayed({ bridge: {}, splice: { mode: "splice" } });
});

afterAll(() => relayed?.stop());

afterEach(() => {
  for (const client of made) client.close();
  made = [];
});

/** A client, and all that it tells. */
function connect(url: string, options: ResumableOptions) {
  const socket = new ResumableWebSocket(url, [], { minDelayMs: 1, maxDelayMs: 20, ...options });
  made.push(socket);
  socket.binaryType = "arraybuffer";
  const told: unknown[] = [];
  let waiters: (() => void)[] = [];

  function tell(what: unknown): void {
    told.push(what);
    for (const waiter of waiters.splice(0)) waiter();
  }

  for (const type of ["open", "error", "reconnecting", "resumed"] as const) {
    socket.addEventListener(type, () => tell(type));
  }
  socket.addEventListener("message", ({ data }) =>
    tell({ data: data instanceof ArrayBuffer ? [data.byteLength] : data }),
  );
  socket.addEventListener("lost", ({ detail }) => tell({ lost: detail }));
  socket.addEventListener("close", ({ code, reason, wasClean }) => tell({ close: [code, reason, wasClean] }));

  async function until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => waiters.push(resolve));
  }

  return { socket, told, until, count: (count: number) => until(() => told.length >= count) };
}

/** Texts that begin as control frames do, and one that only looks harmless. */
const TEXTS = ['\u0000fg:ack{"n":9}', "\u0000fg:=x", "\u0000fg:ack{oops}", '\u0000fg:drain{"inMs":0}', "plain", ""];

const WAYS = [
  ["a bridge", (query: string) => `${relayed.gateway.url}/bridge/held?${query}`],
  ["a splice", (query: string) => `${relayed.gateway.url}/splice/held?${query}`],
  ["no gateway", (query: string) => `${relayed.origin.url}/held?${query}`],
] as const;

describe.each([{ control: true }, { control: false }])("a client with %j", (options) => {
  describe.each(WAYS)("where nothing is held, through %s,", (_way, address) => {
    /** A client, and the backend's side of its connection. */
    async function reach(): Promise<{ client: ReturnType<typeof connect>; origin: Peer }> {
      const query = `plain=${(marks += 1)}.`;
      const client = connect(address(query), options);
      return { client, origin: await relayed.origin.accept(query) };
    }

    it("shows all that the backend says, as it was said", async () => {
      const { client, origin } = await reach();
      for (const text of TEXTS) origin.text(text);
      origin.binary(Buffer.from("four"));
      await client.count(TEXTS.length + 2);
      expect(client.told).toEqual(["open", ...TEXTS.map((data) => ({ data })), { data: [4] }]);
      origin.behave().close(4_000, "bye");
      await client.count(TEXTS.length + 3);
      expect(client.told.at(-1)).toEqual({ close: [4_000, "bye", true] });
    });

    it("begins with a binary message as well, and with one that is no frame by a hair", async () => {
      const [one, other] = [await reach(), await reach()];
      one.origin.binary(Buffer.from("first"));
      other.origin.text('\u0000fg:hello{"epoch":1}');
      await Promise.all([one.client.count(2), other.client.count(2)]);
      expect(one.client.told).toEqual(["open", { data: [5] }]);
      expect(other.client.told).toEqual(["open", { data: '\u0000fg:hello{"epoch":1}' }]);
    });

    it("speaks first to a backend that waits for that, and says what it was told to", async () => {
      const { client, origin } = await reach();
      await client.count(1);
      for (const text of TEXTS) client.socket.send(text);
      const heard: string[] = [];
      while (heard.length < TEXTS.length) heard.push((await origin.next()).payload.toString());
      expect([client.told, heard]).toEqual([["open"], TEXTS]);
    });
  });
});

describe.each(WAYS)("a client with control frames where nothing is held, through %s,", (_way, address) => {
  it("ends with the backend's own code, also if it is one of the gateway's", async () => {
    const query = `plain=${(marks += 1)}.`;
    const { told, count } = connect(address(query), { control: true });
    const origin = await relayed.origin.accept(query);
    origin.text("hello");
    origin.behave().close(4_410, "mine");
    await count(3);
    expect(told).toEqual(["open", { data: "hello" }, { close: [4_410, "mine", true] }]);
  });
});

it.each(["its connection is cut", "it is to connect anew"])(
  "a client with control frames where nothing is held is lost at once when %s",
  async (how) => {
    const query = `plain=${(marks += 1)}.`;
    const { socket, told, count } = connect(`${relayed.origin.url}/held?${query}`, { control: true });
    const origin = await relayed.origin.accept(query);
    origin.text("hello");
    await count(2);
    socket.send("mine");
    await origin.next();
    if (how === "it is to connect anew") socket.reconnect();
    else origin.reset();
    await count(5);
    const reason = "the connection is lost, and this route resumes none";
    expect(told).toEqual([
      "open",
      { data: "hello" },
      { lost: { code: 1_006, reason, unconfirmed: ["mine"] } },
      "error",
      { close: [1_006, reason, false] },
    ]);
  },
);

describe("a gateway that holds a session", () => {
  let server: WebSocketServer;
  /** What asks for a session, and what has come on it. */
  let asked: { readonly query: URLSearchParams; readonly socket: ServerSocket; readonly got: string[] }[];
  let waiters: (() => void)[];

  beforeAll(async () => {
    server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    server.on("connection", (socket, { url = "/" }) => {
      const got: string[] = [];
      asked.push({ query: new URL(url, "ws://gateway").searchParams, socket, got });
      socket.on("message", (data: Buffer) => {
        got.push(data.toString());
        for (const waiter of waiters.splice(0)) waiter();
      });
      for (const waiter of waiters.splice(0)) waiter();
    });
    await new Promise((resolve) => server.once("listening", resolve));
  });

  beforeEach(() => {
    asked = [];
    waiters = [];
  });

  afterAll(() => new Promise((resolve) => server.close(resolve)));

  async function heard(got: readonly string[], count: number): Promise<readonly string[]> {
    while (got.length < count) await new Promise<void>((resolve) => waiters.push(resolve));
    return got;
  }

  /** The connection that came so many'th. */
  async function session(count: number) {
    for (;;) {
      const found = asked[count - 1];
      if (found !== undefined) return { ...found, heard: (messages: number) => heard(found.got, messages) };
      await new Promise<void>((resolve) => waiters.push(resolve));
    }
  }

  function reach() {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that listens on TCP has such an address
    const { port } = server.address() as AddressInfo;
    return connect(`ws://127.0.0.1:${port}/`, { control: true });
  }

  const hello = (recv: number) => `\u0000fg:hello{"epoch":"e","recv":${recv},"restarts":0}`;

  it("may say so late: the session goes on as one that is held", async () => {
    const client = reach();
    const first = await session(1);
    await client.count(1);
    client.socket.send("one");
    await first.heard(1);
    first.socket.send(hello(0));
    first.socket.send("A");
    await client.count(2);
    client.socket.send("\u0000fg:two");
    expect(await first.heard(2)).toEqual(["one", "\u0000fg:=\u0000fg:two"]);
    first.socket.terminate();
    const second = await session(2);
    expect([second.query.get("_ws_recv"), second.query.get("_ws_session")]).toEqual([
      "1",
      first.query.get("_ws_session"),
    ]);
    second.socket.send(hello(1));
    expect(await second.heard(1)).toEqual(["\u0000fg:=\u0000fg:two"]);
    await client.until(() => client.told.includes("resumed"));
    expect(client.told).toEqual(["open", { data: "A" }, "reconnecting", "resumed"]);
  });

  it("may say what no client understands, which is passed over", async () => {
    const client = reach();
    const { socket } = await session(1);
    for (const text of [hello(0), "\u0000fg:ack{oops}", "\u0000fg:later{}", "\u0000fg:", "A"]) socket.send(text);
    await client.count(2);
    expect(client.told).toEqual(["open", { data: "A" }]);
  });

  it("may be gone when the client comes back: what another says is never shown", async () => {
    const client = reach();
    const first = await session(1);
    first.socket.send(hello(0));
    await client.count(1);
    client.socket.send("one");
    await first.heard(1);
    first.socket.terminate();
    (await session(2)).socket.send("welcome");
    await client.count(5);
    const reason = "whoever answers here knows nothing of this session";
    expect(client.told).toEqual([
      "open",
      "reconnecting",
      { lost: { code: 4_410, reason, unconfirmed: ["one"] } },
      "error",
      { close: [4_410, reason, false] },
    ]);
  });
});
