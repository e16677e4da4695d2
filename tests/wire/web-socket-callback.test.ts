import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { shakeHands, type Handshake, type HandshakeOptions } from "../support/web-socket/client.ts";
import { EventBackend, type EventAnswer, type SeenEvent } from "../support/web-socket/event-backend.ts";
import { OPCODES } from "../support/web-socket/frames.ts";
import type { Peer } from "../support/web-socket/peer.ts";
import { eventually } from "../support/web-socket/relayed.ts";

let backend: EventBackend;
let gateway: Gateway;

function configFor(target: string): unknown {
  const free = { sessionsPerAddress: false, closeTimeout: "600ms" };
  const routes: Record<string, unknown> = {
    chat: { ...free, callback: { ping: "ping", pong: "pong" } },
    many: { ...free, callback: { batch: 10 } },
    drop: { ...free, callback: { onFailure: "drop" } },
    small: { ...free, callback: {}, fromClient: { maxMessage: 10 }, maxBuffered: 100 },
    told: { ...free, callback: {}, rejectAfterUpgrade: true },
    short: { ...free, callback: {}, maxLifetime: "400ms" },
  };
  return {
    allowPrivateTargets: true,
    routes: [
      ...Object.entries(routes).map(([id, webSocket]) => ({ id, prefix: `/${id}`, target, webSocket })),
      { id: "plain", prefix: "/plain", target },
    ],
  };
}

beforeAll(async () => {
  backend = await EventBackend.start();
  gateway = await startGateway({ config: configFor(backend.url) });
});

afterEach(() => {
  backend.answer = () => ({});
});

afterAll(async () => {
  await gateway?.kill();
  await backend?.stop();
});

async function open(
  path: string,
  options: HandshakeOptions = {},
): Promise<{ readonly peer: Peer; readonly id: string; readonly headers: (Handshake & { kind: "open" })["headers"] }> {
  const made = await shakeHands(gateway.url, { path, ...options });
  if (made.kind === "refused") throw new Error(`refused: ${made.status} ${made.body}`);
  const id = made.headers.find(([name]) => name.toLowerCase() === "x-ws-session")?.[1] ?? "";
  return { peer: made.peer, id, headers: made.headers };
}

function admin(method: string, path: string, body?: string, type = "text/plain"): Promise<Response> {
  return fetch(`${gateway.url}/admin/${path}`, {
    method,
    headers: { authorization: `Bearer ${gateway.adminToken}`, "content-type": type },
    ...(body === undefined ? {} : { body }),
  });
}

async function sessionsOf(query: string): Promise<readonly { readonly id: string }[]> {
  const listed: { sessions: readonly { readonly id: string }[] } = JSON.parse(
    await (await admin("GET", `sockets?${query}`)).text(),
  );
  return listed.sessions;
}

const shown = ({ name, sequence, body }: SeenEvent) => [name, sequence, body.toString()];

describe("what the backend is asked", () => {
  it("the handshake first, then every message one after the other, then the end, once", async () => {
    backend.answer = async ({ name }) => {
      await new Promise((resolve) => setImmediate(resolve));
      return name === "connect" ? { headers: { "sec-websocket-protocol": "v2", "set-cookie": ["a=1", "b=2"] } } : {};
    };
    const { peer, id, headers } = await open("/chat/room?n=1", {
      headers: { "Sec-WebSocket-Protocol": "v1, v2", Cookie: "who=me", "X-Sluice-Event": "disconnect" },
    });
    expect(headers.filter(([name]) => /protocol|cookie/i.test(name)).map(([, value]) => value)).toEqual(
      expect.arrayContaining(["v2", "a=1", "b=2"]),
    );
    for (let n = 0; n < 20; n++) peer.text(`message ${n}`);
    peer.binary(Buffer.from([0, 255, 7]));
    peer.behave().close(4321, "enough");
    expect(await peer.ended()).toMatchObject({ code: 4321 });
    const events = await backend.eventsOf(id, 23);
    expect(events.map(shown)).toEqual([
      ["connect", 1, ""],
      ...Array.from({ length: 20 }, (_, n) => ["message", n + 2, `message ${n}`]),
      ["message", 22, Buffer.from([0, 255, 7]).toString()],
      ["disconnect", 23, "enough"],
    ]);
    expect(events[0]).toMatchObject({ method: "POST", target: "/room?n=1", headers: { cookie: "who=me" } });
    expect(events.at(1)?.type).toBe("text/plain;charset=utf-8");
    expect(events.at(21)).toMatchObject({ type: "application/octet-stream", body: Buffer.from([0, 255, 7]) });
    expect(events.at(22)?.close).toBe("4321");
  });
});

describe("what the backend answers", () => {
  it("a refusal is the answer to the handshake", async () => {
    backend.answer = () => ({ status: 403, headers: { "x-why": "banned" }, body: "not you" });
    const refused = await shakeHands(gateway.url, { path: "/chat/refused" });
    expect(refused).toMatchObject({ kind: "refused", status: 403, body: "not you" });
    expect(refused.headers.find(([name]) => name.toLowerCase() === "x-why")?.[1]).toBe("banned");
    expect(backend.seen.filter(({ target }) => target === "/refused")).toHaveLength(1);
  });

  it("bodies are messages, by their type, and a state comes back with every later event", async () => {
    const bytes = Buffer.from([1, 0, 254]);
    backend.answer = ({ name, body }) => {
      if (name === "connect") return { headers: { "x-sluice-state": "room 7" }, body: "welcome" };
      if (body.toString() === "binary") return { headers: { "content-type": "application/octet-stream" }, body: bytes };
      if (body.toString() === "bye") return { headers: { "x-sluice-close": "4001 as you wish" }, body: "last" };
      return { headers: { "x-sluice-state": "room 8", "content-type": "application/json" }, body: '{"got":1}' };
    };
    const { peer, id } = await open("/chat/");
    peer.behave();
    for (const text of ["json", "binary", "bye"]) peer.text(text);
    expect((await peer.next()).payload.toString()).toBe("welcome");
    expect((await peer.next()).payload.toString()).toBe('{"got":1}');
    expect(await peer.next()).toMatchObject({ opcode: OPCODES.binary, payload: bytes });
    expect((await peer.next()).payload.toString()).toBe("last");
    expect(await peer.ended()).toEqual({ code: 4001, reason: "as you wish", by: "fin" });
    const events = await backend.eventsOf(id, 5);
    expect(events.map(({ name, state, close }) => [name, state, close])).toEqual([
      ["connect", undefined, undefined],
      ["message", "room 7", undefined],
      ["message", "room 8", undefined],
      ["message", "room 8", undefined],
      ["disconnect", "room 8", "4001"],
    ]);
  });

  it("what comes while it is busy waits, and goes in batches where they are allowed", async () => {
    const gate = Promise.withResolvers<void>();
    backend.answer = async ({ name, body }) => {
      if (name !== "message") return {};
      if (body.includes("first")) await gate.promise;
      const answer = Buffer.from("TEXT 3\r\none\r\nBINARY 2\r\n\r\n\r\nTEXT 0\r\n\r\n");
      return { headers: { "content-type": "application/websocket-events" }, body: answer };
    };
    const { peer, id } = await open("/many/");
    peer.text("first");
    await backend.eventsOf(id, 2);
    for (let n = 0; n < 12; n++) peer.text(`t${n}`);
    peer.binary(Buffer.from([13, 10]));
    // All of them are here when the listing counts them.
    await eventually("its messages", async () => {
      const told: { messagesIn?: number } = JSON.parse(await (await admin("GET", `sockets/${id}`)).text());
      return told.messagesIn === 14 || undefined;
    });
    gate.resolve();
    const events = await backend.eventsOf(id, 4);
    const text = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, n) => `t${from + n}`)
        .map((one) => `TEXT ${one.length.toString(16)}\r\n${one}\r\n`)
        .join("");
    expect(events.map(({ body }) => body.toString())).toEqual([
      "",
      "TEXT 5\r\nfirst\r\n",
      text(0, 10),
      `${text(10, 12)}BINARY 2\r\n\r\n\r\n`,
    ]);
    expect([await peer.hear(), await peer.hear(), await peer.hear()]).toEqual([
      { kind: "text", text: "one" },
      { kind: "binary", bytes: 2 },
      { kind: "text", text: "" },
    ]);
    peer.destroy();
    expect((await backend.eventsOf(id, 5)).at(-1)).toMatchObject({ name: "disconnect", close: "1006" });
  });

  it.each([
    ["chat", { code: 1014, reason: "upstream failed" }],
    ["drop", { code: 4000, reason: "" }],
  ])("%s: a message that it does not take ends the session, or is left out", async (route, end) => {
    backend.answer = ({ body }) => (body.toString() === "bad" ? { status: 500 } : {});
    const { peer, id } = await open(`/${route}/`);
    peer.behave();
    peer.text("bad");
    await backend.eventsOf(id, 2);
    if (route === "drop") {
      peer.text("good");
      await backend.eventsOf(id, 3);
      peer.close(4000);
    }
    expect(await peer.ended()).toMatchObject(end);
    const events = await backend.eventsOf(id, route === "drop" ? 4 : 3);
    expect(events.at(-1)).toMatchObject({ name: "disconnect", close: String(end.code) });
    const line = await eventually("a line", () =>
      Promise.resolve(gateway.warnings().find(({ session }) => session === id)),
    );
    expect(line).toEqual({
      level: "warn",
      event: "web-socket-message-not-taken",
      time: expect.stringMatching(/^\d{4}-.+Z$/),
      session: id,
      messages: 1,
      error: "Error: the answer is 500",
      onFailure: route === "drop" ? "drop" : "close",
    });
  });

  it("ends the session of a client that says too much", async () => {
    const large = await open("/small/");
    large.peer.behave().text("12345678901");
    expect(await large.peer.ended()).toMatchObject({ code: 1009, by: "fin" });
    const gate = Promise.withResolvers<void>();
    backend.answer = async ({ name }) => {
      if (name === "message") await gate.promise;
      return {};
    };
    const much = await open("/small/");
    for (let n = 0; n < 13; n++) much.peer.text("1234567890");
    expect(await much.peer.behave().ended()).toMatchObject({ code: 1013 });
    gate.resolve();
    const events = await backend.eventsOf(much.id, 13);
    expect(events.map(({ name }) => name)).toEqual([
      "connect",
      ...Array.from({ length: 11 }, () => "message"),
      "disconnect",
    ]);
  });
});

describe("a refusal of the handshake", () => {
  it.each([
    [401, 4401],
    [403, 4403],
    [404, 1008],
    [429, 4429],
    [503, 1013],
    [500, 1014],
  ])("%i is %i after the 101 where browsers are to read it", async (status, code) => {
    backend.answer = () => ({ status, body: "not you" });
    const { peer, headers } = await open("/told/", { headers: { "Sec-WebSocket-Protocol": "chat" } });
    expect(await peer.behave().ended()).toMatchObject({ code, by: "fin" });
    expect(headers.filter(([name]) => /^(sec-websocket-protocol|x-ws-session)$/i.test(name))).toEqual([
      [expect.stringMatching(/^sec-websocket-protocol$/i), "chat"],
    ]);
  });

  it("is with the code that the backend says, where it says one", async () => {
    backend.answer = () => ({ status: 403, headers: { "x-sluice-close": "4100 banned" }, body: "not you" });
    const { peer } = await open("/told/");
    expect(await peer.behave().ended()).toMatchObject({ code: 4100, reason: "banned" });
  });

  it("tells the client nothing of what backend and gateway say to each other", async () => {
    const own = { "x-sluice-state": "secret", "x-sluice-close": "4100 banned", "x-why": "banned" };
    backend.answer = () => ({ status: 403, headers: own, body: "not you" });
    const { headers } = await shakeHands(gateway.url, { path: "/chat/refused" });
    expect(headers.map(([name]) => name.toLowerCase()).filter((name) => /sluice|why/.test(name))).toEqual(["x-why"]);
  });
});

describe("an answer that cannot be read", () => {
  const EVENTS = { "content-type": "application/websocket-events" };
  const unreadable: readonly [string, EventAnswer][] = [
    ["too large", { body: Buffer.alloc(17 * 2 ** 20) }],
    ["not what its type says", { headers: EVENTS, body: "TEXT 5\r\nhell" }],
    ["with a state that is too large", { headers: { "x-sluice-state": "s".repeat(2_049) } }],
    ["with a close that is none", { headers: { "x-sluice-close": "now, please" } }],
  ];

  it.each(unreadable)(
    "%s: no session, and the backend, which has taken it, is told of its end",
    async (_what, answer) => {
      let session = "";
      backend.answer = ({ name, session: id = "" }) => {
        if (name !== "connect") return {};
        session = id;
        return answer;
      };
      const came = await shakeHands(gateway.url, { path: "/chat/unreadable" });
      expect([came.status, came.kind === "refused" && JSON.parse(came.body).code]).toEqual([
        502,
        "upstream-invalid-response",
      ]);
      const events = await backend.eventsOf(session, 2);
      expect(events.map(({ name, sequence, close }) => [name, sequence, close])).toEqual([
        ["connect", 1, undefined],
        ["disconnect", 2, "1014"],
      ]);
    },
  );

  it.each(unreadable)("%s: ends a session, as a message that is not taken does", async (_what, answer) => {
    backend.answer = ({ name }) => (name === "message" ? answer : { headers: { "x-sluice-state": "before" } });
    const { peer, id } = await open("/chat/");
    peer.behave().text("go");
    expect(await peer.ended()).toMatchObject({ code: 1014, reason: "upstream failed" });
    expect((await backend.eventsOf(id, 3)).at(-1)).toMatchObject({
      name: "disconnect",
      close: "1014",
      state: "before",
    });
  });
});

it("a state is what it was, whatever is in it", async () => {
  const state = Buffer.from("grüße, 日本 %2F;=,").toString("latin1");
  backend.answer = ({ name }) => (name === "connect" ? { headers: { "x-sluice-state": state } } : {});
  const { peer, id } = await open("/chat/");
  peer.behave().close(1000);
  expect((await backend.eventsOf(id, 2)).at(-1)?.state).toBe(state);
});

describe("what operators do", () => {
  it.each([false, true])("see a session whose backend takes its time, and close it: %s", async (isOrdered) => {
    const gate = Promise.withResolvers<void>();
    backend.answer = async ({ name }) => {
      if (name === "connect") await gate.promise;
      return {};
    };
    const opening = open("/chat/late");
    const [shown] = await vi.waitUntil(async () => {
      const found = await sessionsOf("route=chat&state=connecting");
      return found.length > 0 && found;
    }, 20_000);
    const { id } = shown ?? {};
    expect(shown).toMatchObject({ mode: "callback", state: "connecting" });
    if (isOrdered) await admin("DELETE", `sockets/${id}?code=4000&reason=late`);
    gate.resolve();
    const { peer, id: opened } = await opening;
    expect(opened).toBe(id);
    peer.behave();
    if (isOrdered) {
      expect(await peer.ended()).toMatchObject({ code: 4000, reason: "late" });
      return;
    }
    await admin("POST", `sockets/${id}/send`, "hello");
    expect(await peer.hear()).toEqual({ kind: "text", text: "hello" });
    expect((await sessionsOf("route=chat&state=open")).map((one) => one.id)).toContain(id);
    peer.close(1000);
    await peer.ended();
  });

  it("push a message to a session, list it, and close it with a code, though its client has never said anything", async () => {
    const { peer, id } = await open("/chat/quiet");
    peer.behave();
    expect(await (await admin("POST", `sockets/${id}/send`, "grüße")).json()).toEqual({ id, sent: true });
    expect(await peer.hear()).toEqual({ kind: "text", text: "grüße" });
    await admin("POST", `sockets/${id}/send`, "12", "application/octet-stream");
    expect(await peer.hear()).toEqual({ kind: "binary", bytes: 2 });
    const listed: { sessions: readonly Record<string, unknown>[] } = JSON.parse(
      await (await admin("GET", "sockets?mode=callback&route=chat")).text(),
    );
    expect(listed.sessions.find((one) => one["id"] === id)).toMatchObject({ state: "open", address: "127.0.0.1" });
    await admin("DELETE", `sockets/${id}?code=4000&reason=bye`);
    expect(await peer.ended()).toEqual({ code: 4000, reason: "bye", by: "fin" });
    const events = await backend.eventsOf(id, 2);
    expect(events.map(shown)).toEqual([
      ["connect", 1, ""],
      ["disconnect", 2, "bye"],
    ]);
    const line = await eventually("its line", () =>
      Promise.resolve(gateway.logs().find((one) => one["message"] === "web-socket" && one["session"] === id)),
    );
    expect(line).toMatchObject({ mode: "callback", endedBy: "gateway", closeCode: 4000, messagesOut: 2, bytesOut: 9 });
    await eventually("none of that id", async () => {
      const { status } = await admin("POST", `sockets/${id}/send`, "late");
      return status === 404 || undefined;
    });
    expect((await admin("GET", `sockets/${"ab".repeat(32)}`)).status).toBe(404);
  });
});

it("operators see what passes", async () => {
  const { peer, id } = await open("/chat/tapped");
  backend.answer = () => ({ body: "heard" });
  const tap = (await admin("GET", `sockets/${id}/tap`)).body?.pipeThrough(new TextDecoderStream()).getReader();
  peer.behave().text("said");
  expect(await peer.hear()).toEqual({ kind: "text", text: "heard" });
  peer.close(4000, "enough");
  let shown = "";
  for (let read = await tap?.read(); read?.done === false; read = await tap?.read()) shown += read.value;
  expect([...shown.matchAll(/"(?:data|code)":("\w+"|\d+)/g)].map(([, value]) => value)).toEqual([
    '"said"',
    '"heard"',
    "4000",
  ]);
});

describe("what nobody has to ask for", () => {
  it("a ping is answered, and the backend hears nothing of it", async () => {
    const { peer, id } = await open("/chat/");
    peer.text("ping");
    expect(await peer.hear()).toEqual({ kind: "text", text: "pong" });
    peer.behave().text("after");
    expect((await backend.eventsOf(id, 2)).map(shown)).toEqual([
      ["connect", 1, ""],
      ["message", 2, "after"],
    ]);
    peer.close(1000);
    await peer.ended();
  });

  it("a session that has lasted long enough is closed", async () => {
    const { peer, id } = await open("/short/");
    expect(await peer.behave().ended()).toMatchObject({ code: 1012, by: "fin" });
    expect((await backend.eventsOf(id, 2)).at(-1)).toMatchObject({ name: "disconnect", close: "1012" });
  });

  it("nobody but the gateway says what is an event", async () => {
    const headers = { "x-sluice-event": "message", "x-sluice-session": "forged", x_sluice_session: "forged" };
    for (const path of ["/plain/forged", "/chat/forged"]) {
      await fetch(`${gateway.url}${path}`, { method: "POST", headers, body: "forged" });
    }
    const seen = backend.seen.filter(({ target }) => target === "/forged");
    expect(seen).toHaveLength(2);
    expect(JSON.stringify(seen.map(({ headers: all }) => all))).not.toMatch(/x.sluice|"forged"/);
  });
});

it("the backend is told of the end of sessions that were killed with the runtime, once", async () => {
  const state = mkdtempSync(join(tmpdir(), "sluice-callback-"));
  const config = configFor(backend.url);
  const first = await startGateway({ config, state });
  const made = await shakeHands(first.url, { path: "/short/killed" });
  await first.kill();
  if (made.kind === "refused") throw new Error(made.body);
  expect(await made.peer.ended()).toMatchObject({ code: 1006 });
  const id = made.headers.find(([name]) => name.toLowerCase() === "x-ws-session")?.[1] ?? "";
  const second = await startGateway({ config, state });
  expect((await backend.eventsOf(id, 2)).map(({ name, close }) => [name, close])).toEqual([
    ["connect", undefined],
    ["disconnect", "1006"],
  ]);
  await eventually("its line", () =>
    Promise.resolve(second.logs().find((one) => one["message"] === "web-socket" && one["session"] === id)),
  );
  await second.kill();
  rmSync(state, { recursive: true });
  expect(backend.seen.filter(({ session }) => session === id)).toHaveLength(2);
});
