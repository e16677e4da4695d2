import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ResumableWebSocket, type ResumableOptions } from "../../clients/websocket/resumable-web-socket.ts";
import { createRandom } from "../simulation/random.ts";
import { ResumeRelay } from "../support/web-socket/resume-relay.ts";

let relay: ResumeRelay;
let client: ResumableWebSocket | undefined;

beforeEach(async () => {
  relay = await ResumeRelay.start();
});

afterEach(async () => {
  client?.close();
  client = undefined;
  await relay.stop();
});

/** A client, and all that it has told. */
function connect(options: ResumableOptions = {}, url = relay.url) {
  const made = new ResumableWebSocket(url, [], { minDelayMs: 1, maxDelayMs: 20, ...options });
  client = made;
  made.binaryType = "arraybuffer";
  const got: unknown[] = [];
  const told: unknown[] = [];
  let wake: (() => void)[] = [];

  function noted(what: unknown): void {
    told.push(what);
    for (const resolve of wake) resolve();
    wake = [];
  }

  made.addEventListener("open", () => noted("open"));
  made.addEventListener("error", () => noted("error"));
  made.addEventListener("close", ({ code, reason, wasClean }) => noted(["close", code, reason, wasClean]));
  made.addEventListener("resumed", ({ detail }) => noted(["resumed", detail.resent]));
  made.addEventListener("restarted", ({ detail }) => noted(["restarted", detail.restarts]));
  made.addEventListener("lost", ({ detail }) => noted(["lost", detail]));
  made.addEventListener("reconnecting", ({ detail }) => noted(["reconnecting", detail.attempt]));
  made.addEventListener("message", ({ data }) => {
    got.push(data);
    for (const resolve of wake) resolve();
    wake = [];
  });

  async function until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => wake.push(resolve));
  }

  /** What was told first of this kind, after so many of it. */
  async function first(kind: string, after = 0): Promise<unknown> {
    const all = () => told.filter((what) => what === kind || (Array.isArray(what) && what[0] === kind));
    await until(() => all().length > after);
    return all()[after];
  }

  return { client: made, got, told, until, first };
}

async function opened(options: ResumableOptions = {}) {
  const made = connect(options);
  await made.first("open");
  const [session] = relay.sessions;
  if (session === undefined) throw new Error("the relay has no session");
  return { ...made, session };
}

const LEVELS = [
  ["greeted", {}, true],
  ["asked by plain GETs", {}, false],
  ["with control frames", { control: true }, true],
] as const;

describe.each(LEVELS)("a client, %s", (_how, options, greets) => {
  beforeEach(() => {
    relay.greets = greets;
  });

  it("carries texts and binaries both ways, also those that look like control frames", async () => {
    const { client, got, session, until } = await opened(options);
    const texts = ["", "grüße", '\u0000fg:ack{"n":9}', "\u0000fg:=x"];
    for (const text of texts) {
      client.send(text);
      session.send(text);
    }
    const bytes = new Uint8Array([1, 2, 3, 4]);
    client.send(bytes.subarray(1, 3));
    client.send(new Blob(["blob"]));
    bytes.fill(0);
    session.send(new Uint8Array([9]).buffer);
    await relay.until(() => session.got.length === 6);
    await until(() => got.length === 5);
    expect(session.got).toEqual([...texts, new Uint8Array([2, 3]).buffer, new TextEncoder().encode("blob").buffer]);
    expect(got).toEqual([...texts, new Uint8Array([9]).buffer]);
  });

  it("loses, doubles and reorders nothing though its connection fails a hundred times", async () => {
    const { client, got, session, until } = await opened(options);
    const random = createRandom(7);
    const total = 3_000;
    let sent = 0;
    let resets = 0;
    let takeovers = 0;
    while (sent < total) {
      for (let burst = random.integer(1, 40); burst > 0 && sent < total; burst -= 1) {
        sent += 1;
        client.send(`c${sent}`);
        session.send(`s${sent}`);
      }
      const dice = random.next();
      if (dice < 0.8 && resets < 100) {
        resets += 1;
        session.reset();
      } else if (dice > 0.8) {
        takeovers += 1;
        client.reconnect();
      }
      // So that some of it is under way and some has come.
      const heard = random.integer(0, 30);
      if (dice < 0.5) await until(() => got.length >= sent - heard);
      else await relay.until(() => session.got.length >= sent - heard);
    }
    await relay.until(() => session.got.length >= total);
    await until(() => got.length >= total);
    const numbers = Array.from({ length: total }, (_, index) => index + 1);
    expect(session.got).toEqual(numbers.map((number) => `c${number}`));
    expect(got).toEqual(numbers.map((number) => `s${number}`));
    expect([resets + takeovers > 80, relay.sessions.length]).toEqual([true, 1]);
  });

  it("stays open while it has no connection, and sends then what was sent meanwhile", async () => {
    const { client, session, first } = await opened(options);
    relay.refuses = 503;
    session.reset();
    await first("reconnecting", 2);
    client.send("meanwhile");
    expect([client.readyState, client.bufferedAmount]).toEqual([ResumableWebSocket.OPEN, 9]);
    relay.refuses = undefined;
    await relay.until(() => session.got.length === 1);
    expect([session.got, await first("resumed")]).toEqual([["meanwhile"], ["resumed", 1]]);
  });

  it("comes back where the gateway asks for that, with 1012", async () => {
    const { session, first, client } = await opened(options);
    session.close(1012, "drain");
    await first("resumed");
    expect([client.readyState, relay.sessions.length]).toEqual([ResumableWebSocket.OPEN, 1]);
  });

  it("says that the session is lost where the gateway has lost it, with what may not have come", async () => {
    const { client, session, first, told } = await opened(options);
    relay.refuses = 503;
    session.crash();
    await first("reconnecting");
    client.send("a");
    client.send("b");
    relay.refuses = undefined;
    // From the Close frame or from the plain GET, whichever comes first.
    const reason: unknown = expect.stringMatching(/^this session is gone$|knows nothing of this session$/);
    expect(await first("lost")).toEqual(["lost", { code: 4410, reason, unconfirmed: ["a", "b"] }]);
    await first("close");
    expect(told.slice(-2)).toEqual(["error", ["close", 4410, reason, false]]);
    expect([client.readyState, relay.sessions.length]).toEqual([ResumableWebSocket.CLOSED, 0]);
  });

  it("opens a new session instead if it is to, and says so before", async () => {
    const { client, session, first, told, until } = await opened({ ...options, onLost: "reopen" });
    session.crash();
    await first("open", 1);
    const kinds = told.map((what) => (Array.isArray(what) ? String(what[0]) : what));
    expect(kinds.filter((kind) => kind !== "reconnecting")).toEqual(["open", "lost", "open"]);
    client.send("again");
    await relay.until(() => relay.sessions[0]?.got.length === 1);
    relay.sessions[0]?.send("hello");
    await until(() => kinds.length > 0 && relay.sessions[0]?.got[0] === "again");
  });

  it("ends as a WebSocket does with a Close frame of either side", async () => {
    const { session, first, told } = await opened(options);
    session.close(4000, "bye");
    expect(await first("close")).toEqual(["close", 4000, "bye", true]);
    expect(told).not.toContain("error");
    const other = await opened(options);
    other.client.close(3_001, "mine");
    expect(other.client.readyState).toBe(ResumableWebSocket.CLOSING);
    expect(await other.first("close")).toEqual(["close", 3_001, "mine", true]);
  });

  it("closes only after what was sent while there was no connection", async () => {
    const { client, session, first } = await opened(options);
    session.reset();
    await first("reconnecting");
    client.send("last words");
    await first("resumed");
    client.close(1000);
    expect(await first("close")).toEqual(["close", 1000, "", true]);
    await relay.until(() => session.resume.state === "over");
    expect(session.got).toEqual(["last words"]);
  });

  it("is lost when more is sent without a connection than can be kept", async () => {
    const { client, session, first } = await opened({ ...options, copies: { messages: 2, bytes: 100 } });
    relay.refuses = 503;
    session.reset();
    await first("reconnecting");
    for (const text of ["a", "b", "c"]) client.send(text);
    expect(await first("lost")).toEqual([
      "lost",
      {
        code: 4413,
        reason: "more was sent while there was no connection than can be kept",
        unconfirmed: ["a", "b", "c"],
      },
    ]);
  });

  it("forgets copies of what has come, so that any number of messages goes through a small room", async () => {
    const { client, session, first } = await opened({ ...options, copies: { messages: 200, bytes: 10_000 } });
    for (let number = 1; number <= 2_000; number += 1) {
      client.send(`c${number}`);
      if (number % 90 === 0) await relay.until(() => session.got.length === number);
    }
    await relay.until(() => session.got.length === 2_000);
    session.reset();
    await first("resumed");
    client.send("end");
    await relay.until(() => session.got.length === 2_001);
    expect(session.got.at(-1)).toBe("end");
  });

  it("gives up in the end", async () => {
    const { first, told } = connect({ ...options, giveUpMs: 50 }, "ws://127.0.0.1:1/");
    expect(await first("close")).toEqual(["close", 1006, "", false]);
    expect(told).not.toContain("open");
    const { session, ...made } = await opened({ ...options, giveUpMs: 50 });
    relay.refuses = 503;
    session.reset();
    expect(await made.first("lost")).toMatchObject(["lost", { code: 1006, reason: "no connection for 50 ms" }]);
  });
});

describe("a client", () => {
  it("never takes up with a gateway that knows nothing of its session", async () => {
    relay.isKnown = false;
    const { session, first, client } = await opened();
    await relay.until(() => relay.answered === 1);
    session.reset();
    expect(await first("lost")).toMatchObject(["lost", { unconfirmed: [] }]);
    expect([client.readyState, relay.sessions.length]).toEqual([ResumableWebSocket.CLOSED, 1]);
  });

  it("shows nothing of another session, should the gateway have one under its name", async () => {
    const { session, first, got, until } = await opened();
    session.send("one");
    await until(() => got.length === 1);
    await relay.until(() => relay.answered === 1);
    const before = session.resume.status();
    Object.assign(session.resume, { status: () => ({ ...before, epoch: "another" }) });
    relay.refuses = 503;
    session.reset();
    await first("reconnecting");
    session.send("two");
    relay.refuses = undefined;
    expect(await first("lost")).toMatchObject(["lost", { code: 4410 }]);
    expect(got).toEqual(["one"]);
  });

  it.each([{}, { control: true }])(
    "goes on where a connection that it has left takes over, being slower: %j",
    async (how) => {
      const { client: made, got, told, until, first, session } = await opened(how);
      let answer = () => {};
      relay.beforeNext = new Promise((resolve) => (answer = resolve));
      const asked = relay.asked.length;
      made.reconnect();
      await relay.until(() => relay.asked.length > asked);
      made.reconnect();
      await first("resumed");
      answer();
      await first("resumed", 1);
      session.send("after");
      await until(() => got.includes("after"));
      expect(told.flat()).not.toContain("close");
    },
  );

  it("comes back before a drain is over, without a moment in which it has no connection", async () => {
    const { session, first, told } = await opened({ control: true });
    session.sendControl({ kind: "drain", inMs: 20 });
    await first("resumed");
    expect(told).toEqual(["open", ["resumed", 0]]);
  });

  it("sends its query and its session's, and a new session's name for each try that never was one", async () => {
    relay.refuses = 503;
    const { first } = connect();
    await first("reconnecting", 2);
    relay.refuses = undefined;
    await first("open");
    const sids = relay.asked.map((query) => new URLSearchParams(query).get("_ws_session"));
    expect(new Set(sids.slice(0, 3)).size).toBe(3);
    expect(sids.every((sid) => /^[A-Za-z0-9_-]{22}$/.test(sid ?? ""))).toBe(true);
    expect(relay.asked.every((query) => query.startsWith("room=1&"))).toBe(true);
  });

  it("refuses what a WebSocket refuses", async () => {
    const { client, first } = connect();
    expect(() => client.send("early")).toThrow(expect.objectContaining({ name: "InvalidStateError" }));
    await first("open");
    expect(() => client.close(1001)).toThrow(expect.objectContaining({ name: "InvalidAccessError" }));
    expect(() => client.close(1000, "x".repeat(124))).toThrow(expect.objectContaining({ name: "SyntaxError" }));
    for (const url of ["ftp://127.0.0.1/", "ws://127.0.0.1/#a", "nonsense"]) {
      expect(() => new ResumableWebSocket(url)).toThrow();
    }
    client.close();
    client.close();
    client.send("late");
    expect(await first("close")).toEqual(["close", 1005, "", true]);
  });
});

it("does in the guide what the guide says", async () => {
  const guide = readFileSync(new URL("../../docs/guide/web-socket-client.md", import.meta.url), "utf8");
  const [, example = ""] = /```js\n([^]*?)```/.exec(guide) ?? [];
  const script = example.replace(/^import .*$/m, "").replace("wss://api.example.com/live?room=1", relay.url);
  const shown: string[] = [];
  // oxlint-disable-next-line typescript/no-implied-eval -- the guide's own lines are what is tested
  const run = new Function("ResumableWebSocket", "show", `${script}; return socket;`);
  const made: unknown = run(ResumableWebSocket, (text: string) => shown.push(text));
  if (!(made instanceof ResumableWebSocket)) throw new Error("the example makes no socket");
  client = made;
  await relay.until(() => relay.sessions[0]?.got[0] === "hello");
  relay.refuses = 503;
  relay.sessions[0]?.reset();
  await new Promise((resolve) => made.addEventListener("reconnecting", resolve));
  made.send("meanwhile");
  relay.refuses = undefined;
  await new Promise((resolve) => made.addEventListener("resumed", resolve));
  expect(shown.filter((text) => !/^try \d+ in \d+ ms$/.test(text))).toEqual(["back, and sent 1 again"]);
});
