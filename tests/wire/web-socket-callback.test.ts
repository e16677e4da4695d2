import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Gateway } from "../support/gateway.ts";
import { shown, startCallback, type CallbackGateway } from "../support/web-socket/callback-gateway.ts";
import { shakeHands } from "../support/web-socket/client.ts";
import type { EventAnswer, EventBackend } from "../support/web-socket/event-backend.ts";
import { OPCODES } from "../support/web-socket/frames.ts";
import { eventually } from "../support/web-socket/relayed.ts";

let callback: CallbackGateway;
let backend: EventBackend;
let gateway: Gateway;

beforeAll(async () => {
  callback = await startCallback({
    chat: {},
    many: { callback: { batch: 10 } },
    drop: { callback: { onFailure: "drop" } },
    small: { fromClient: { maxMessage: 10 }, maxBuffered: 100 },
    told: { rejectAfterUpgrade: true },
  });
  ({ backend, gateway } = callback);
});

afterEach(() => {
  backend.answer = () => ({});
});

afterAll(() => callback?.stop());

describe("what the backend is asked", () => {
  it("the handshake first, then every message one after the other, then the end, once", async () => {
    backend.answer = async ({ name }) => {
      await new Promise((resolve) => setImmediate(resolve));
      return name === "connect" ? { headers: { "sec-websocket-protocol": "v2", "set-cookie": ["a=1", "b=2"] } } : {};
    };
    const { peer, id, headers } = await callback.open("/chat/room?n=1", {
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
    const { peer, id } = await callback.open("/chat/");
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
    const { peer, id } = await callback.open("/many/");
    peer.text("first");
    await backend.eventsOf(id, 2);
    for (let n = 0; n < 12; n++) peer.text(`t${n}`);
    peer.binary(Buffer.from([13, 10]));
    // All of them are here when the listing counts them.
    await eventually("its messages", async () => {
      const told: { messagesIn?: number } = JSON.parse(await (await callback.admin("GET", `sockets/${id}`)).text());
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
    const { peer, id } = await callback.open(`/${route}/`);
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
    const large = await callback.open("/small/");
    large.peer.behave().text("12345678901");
    expect(await large.peer.ended()).toMatchObject({ code: 1009, by: "fin" });
    const gate = Promise.withResolvers<void>();
    backend.answer = async ({ name }) => {
      if (name === "message") await gate.promise;
      return {};
    };
    const much = await callback.open("/small/");
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
    const { peer, headers } = await callback.open("/told/", { headers: { "Sec-WebSocket-Protocol": "chat" } });
    expect(await peer.behave().ended()).toMatchObject({ code, by: "fin" });
    expect(headers.filter(([name]) => /^(sec-websocket-protocol|x-ws-session)$/i.test(name))).toEqual([
      [expect.stringMatching(/^sec-websocket-protocol$/i), "chat"],
    ]);
  });

  it("is with the code that the backend says, where it says one", async () => {
    backend.answer = () => ({ status: 403, headers: { "x-sluice-close": "4100 banned" }, body: "not you" });
    const { peer } = await callback.open("/told/");
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
    const { peer, id } = await callback.open("/chat/");
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
  const { peer, id } = await callback.open("/chat/");
  peer.behave().close(1000);
  expect((await backend.eventsOf(id, 2)).at(-1)?.state).toBe(state);
});
