import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ResumableWebSocket, type ResumableOptions } from "../../clients/websocket/resumable-web-socket.ts";
import { openHeld } from "../support/web-socket/held-client.ts";
import { ResumeRelay, type RelayedSession } from "../support/web-socket/resume-relay.ts";

let relay: ResumeRelay;
let made: ResumableWebSocket[];

beforeEach(async () => {
  relay = await ResumeRelay.start();
  made = [];
});

afterEach(async () => {
  for (const client of made) client.close();
  await relay.stop();
});

async function opened(options: ResumableOptions = {}) {
  const client = await openHeld(relay.url, options);
  made.push(client.socket);
  const [session] = relay.sessions;
  if (session === undefined) throw new Error("the relay has no session");
  return { ...client, session };
}

/** What a client tells, in the order in which it does. */
function listen(client: ResumableWebSocket): string[] {
  const told: string[] = [];
  for (const type of ["open", "message", "error", "close"]) client.addEventListener(type, () => told.push(type));
  return told;
}

function next(client: ResumableWebSocket, type: string): Promise<Event> {
  return new Promise((resolve) => client.addEventListener(type, resolve, { once: true }));
}

const LEVELS = [
  ["greeted", {}, true],
  ["asked by plain GETs", {}, false],
  ["with control frames", { control: true }, true],
] as const;

describe("what a client leaves behind", () => {
  it("is no connection once it has given up, though nobody says what has come", async () => {
    relay.greets = false;
    const { session, until, told } = await opened({ giveUpMs: 200 });
    await relay.until(() => relay.answered === 1);
    relay.statusIs = 503;
    session.reset();
    await until(() => told.includes("lost 1006"));
    await relay.until(() => relay.connections === 0);
    expect(session.resume.state).toBe("over");
  });

  it("is no session that was opened for it when it connects anew before it is open", async () => {
    const open = Promise.withResolvers<void>();
    relay.beforeNext = open.promise;
    const client = new ResumableWebSocket(relay.url);
    made.push(client);
    await relay.until(() => relay.asked.length === 1);
    client.reconnect();
    await next(client, "open");
    open.resolve();
    await relay.until(() => relay.connections === 1);
    expect(client.readyState).toBe(ResumableWebSocket.OPEN);
  });
});

describe("what a client asks", () => {
  it("is asked anew when no answer comes, and the question that hangs is withdrawn", async () => {
    relay.greets = false;
    const { session, until, told } = await opened({ handshakeTimeoutMs: 200 });
    await relay.until(() => relay.answered === 1);
    relay.statusIs = "never";
    session.reset();
    await relay.until(() => relay.hanging === 1);
    relay.statusIs = undefined;
    await relay.until(() => relay.hanging === 0);
    await until(() => told.includes("resumed"));
  });

  it("is not asked with every message of one who knows nothing of it", async () => {
    relay.isKnown = false;
    const { socket, session } = await opened();
    await relay.until(() => relay.answered === 1);
    for (let n = 1; n <= 2_000; n += 1) {
      socket.send(`c${n}`);
      if (n % 50 === 0) await relay.until(() => session.got.length === n);
    }
    expect(relay.gets).toBe(1);
  });

  it("is not asked with every message of one who does not answer now", async () => {
    const { socket, session } = await opened();
    await relay.until(() => relay.answered === 1);
    relay.statusIs = 503;
    for (let n = 1; n <= 2_000; n += 1) {
      socket.send(`c${n}`);
      if (n % 50 === 0) await relay.until(() => session.got.length === n);
    }
    expect(relay.gets).toBeLessThan(20);
  });
});

describe.each(LEVELS)("a client, %s", (_how, options, greets) => {
  beforeEach(() => {
    relay.greets = greets;
  });

  it("comes back ever more slowly to where no connection lasts", async () => {
    const attempts: number[] = [];
    const { socket, session, until, told } = await opened({ ...options, maxDelayMs: 5, stableMs: 3_600_000 });
    socket.addEventListener("reconnecting", ({ detail }) => attempts.push(detail.attempt));
    for (let n = 1; n <= 4; n += 1) {
      session.reset();
      await until(() => told.filter((what) => what === "resumed").length === n);
    }
    expect(attempts).toEqual([1, 2, 3, 4]);
  });

  it("comes back soon to where one has lasted", async () => {
    const attempts: number[] = [];
    const { socket, session, until, told } = await opened({ ...options, maxDelayMs: 5, stableMs: 0 });
    socket.addEventListener("reconnecting", ({ detail }) => attempts.push(detail.attempt));
    for (let n = 1; n <= 3; n += 1) {
      session.reset();
      await until(() => told.filter((what) => what === "resumed").length === n);
    }
    expect(attempts).toEqual([1, 1, 1]);
  });

  it("opens sessions anew ever more slowly where none lasts", async () => {
    const delays: unknown[] = [];
    const how = { onLost: "reopen", minDelayMs: 2, maxDelayMs: 10, stableMs: 3_600_000, random: () => 0.5 } as const;
    const { socket, until, told } = await opened({ ...options, ...how });
    const opens = () => told.filter((what) => what === "open").length;
    let isLost = false;
    socket.addEventListener("lost", () => {
      isLost = true;
    });
    socket.addEventListener("reconnecting", ({ detail }) => {
      if (isLost) delays.push(detail);
      isLost = false;
    });
    for (let n = 1; n <= 4; n += 1) {
      relay.sessions[0]?.crash();
      await until(() => opens() === n + 1);
    }
    expect(delays).toEqual([
      { attempt: 1, delayMs: 1 },
      { attempt: 2, delayMs: 2 },
      { attempt: 3, delayMs: 4 },
      { attempt: 4, delayMs: 5 },
    ]);
  });

  it("opens none anew that is closed meanwhile, and one at once that is to connect", async () => {
    const how = { onLost: "reopen", minDelayMs: 3_600_000, maxDelayMs: 3_600_000, random: () => 0.5 } as const;
    const { socket, until, told } = await opened({ ...options, ...how });
    const lost = next(socket, "lost");
    socket.addEventListener("reconnecting", () => setTimeout(() => socket.reconnect(), 0));
    relay.sessions[0]?.crash();
    await lost;
    await until(() => told.filter((what) => what === "open").length === 2);
    socket.addEventListener("lost", () => setTimeout(() => socket.close(), 0));
    relay.sessions[0]?.crash();
    expect(await next(socket, "close")).toMatchObject({ code: 1006, wasClean: false });
    expect([socket.readyState, relay.sessions]).toEqual([ResumableWebSocket.CLOSED, []]);
  });

  it("says also of the message for which there is no room that it may not have come", async () => {
    const { socket, session, until, told } = await opened({ ...options, copies: { messages: 2, bytes: 100 } });
    const lost = new Promise((resolve) => socket.addEventListener("lost", ({ detail }) => resolve(detail)));
    relay.refuses = 503;
    session.reset();
    await until(() => told.includes("reconnecting"));
    for (const text of ["a", "b", "c"]) socket.send(text);
    expect(await lost).toMatchObject({ code: 4413, unconfirmed: ["a", "b", "c"] });
  });

  it("ends when it is closed and the session cannot be resumed now", async () => {
    const { socket, session, until, told } = await opened(options);
    await relay.until(() => "control" in options || relay.answered === 1);
    relay.statusIs = "never";
    session.reset();
    await until(() => told.includes("reconnecting"));
    relay.refuses = 503;
    socket.close(4_000);
    const end = await next(socket, "close");
    expect(end).toMatchObject({ code: 1006, wasClean: false });
    expect(told.at(-1)).toBe("close 1006 ");
  });
});

it("a client shows nothing that comes after it was closed, as a WebSocket does", async () => {
  const gate = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  let gets = 0;
  const get: typeof fetch = async (...args) => {
    gets += 1;
    if (gets > 1) {
      asked.resolve();
      await gate.promise;
    }
    return fetch(...args);
  };
  relay.greets = false;
  const { socket, session, got, until, told } = await opened({ fetch: get });
  await relay.until(() => relay.answered === 1);
  session.reset();
  await until(() => told.includes("reconnecting"));
  session.send("too late");
  await asked.promise;
  socket.close(1000);
  gate.resolve();
  expect(await next(socket, "close")).toMatchObject({ code: 1000, wasClean: true });
  expect(got).toEqual([]);
});

describe("a client that is closed while it connects", () => {
  it("tells so after `close` has returned: an error and a close, as a WebSocket does", async () => {
    const client = new ResumableWebSocket(relay.url);
    const told = listen(client);
    client.close();
    expect([told, client.readyState]).toEqual([[], ResumableWebSocket.CLOSING]);
    expect(await next(client, "close")).toMatchObject({ code: 1006, wasClean: false });
    expect([told, client.readyState]).toEqual([["error", "close"], ResumableWebSocket.CLOSED]);
    await relay.until(() => relay.connections === 0);
  });

  it("does so too while there is no connection", async () => {
    const { socket, session, until, told } = await opened();
    relay.refuses = 503;
    session.reset();
    await until(() => told.includes("reconnecting"));
    socket.close();
    expect(socket.readyState).toBe(ResumableWebSocket.CLOSING);
    expect(await next(socket, "close")).toMatchObject({ code: 1006 });
  });
});

describe("a drain", () => {
  const FAR = 3_600_000;

  /** Its frames come before this message. */
  async function heard({ got, until }: Awaited<ReturnType<typeof opened>>, session: RelayedSession): Promise<void> {
    session.send("after the frames");
    await until(() => got.includes("after the frames"));
  }

  it("that is announced again is one", async () => {
    const held = await opened({ control: true, random: () => 0 });
    const { session, until, told } = held;
    for (let n = 0; n < 5; n += 1) session.sendControl({ kind: "drain", inMs: FAR });
    await heard(held, session);
    await until(() => told.includes("resumed"));
    await heard(held, session);
    expect(relay.asked).toHaveLength(2);
  });

  it("opens nothing anew for a client that has closed", async () => {
    const held = await opened({ control: true, random: () => 0.00001 });
    const { session, socket } = held;
    session.sendControl({ kind: "drain", inMs: FAR });
    await heard(held, session);
    socket.close(4_000, "enough");
    expect(await next(socket, "close")).toMatchObject({ code: 4_000, wasClean: true });
    expect(relay.asked).toHaveLength(1);
  });
});

it("what is spoken stays what it is while there is no connection", async () => {
  const client = new ResumableWebSocket(relay.url, ["chat", "other"], { minDelayMs: 1, maxDelayMs: 5 });
  made.push(client);
  expect([client.protocol, client.extensions]).toEqual(["", ""]);
  await next(client, "open");
  relay.refuses = 503;
  relay.sessions[0]?.reset();
  await next(client, "reconnecting");
  expect(client.protocol).toBe("chat");
  client.close();
  await next(client, "close");
  expect(client.protocol).toBe("chat");
});

it("an option that is undefined is one that was left out", async () => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as scripts without types may write
  const options = { minDelayMs: undefined, maxDelayMs: undefined, giveUpMs: undefined } as unknown as ResumableOptions;
  const client = new ResumableWebSocket(relay.url, [], { ...options, random: () => 0.5 });
  made.push(client);
  await next(client, "open");
  const delays: number[] = [];
  client.addEventListener("reconnecting", ({ detail }) => delays.push(detail.delayMs));
  relay.sessions[0]?.reset();
  await next(client, "resumed");
  expect(delays).toEqual([50]);
});
