import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { OPENING, toField, type Opening } from "../../objects/web-socket-relay/opening.ts";
import { activeConfig } from "../../worker/config/active.ts";

const LIMITS = {
  maxMessage: 1_000,
  messagesPerSecond: null,
  messageBurst: 0,
  bytesPerSecond: null,
  byteBurst: 0,
  maxBuffered: 1_000,
};

beforeAll(async () => {
  const config = {
    allowPrivateTargets: true,
    routes: [{ id: "live", prefix: "/", target: "http://127.0.0.1:9", webSocket: { held: { durable: true } } }],
  };
  const given = { ...env, SLUICE_CONFIG: JSON.stringify(config), SLUICE_CONFIG_VERSION: "1" };
  await activeConfig(given, { waitUntil: () => {} });
});

beforeEach(() => {
  for (const name of ["log", "warn", "error"] as const) vi.spyOn(console, name).mockImplementation(() => {});
  vi.spyOn(globalThis, "fetch").mockImplementation(() => {
    const { 0: dialled, 1: upstream } = new WebSocketPair();
    upstream.accept();
    return Promise.resolve(new Response(null, { status: 101, webSocket: dialled }));
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

it("what cannot be written is not acknowledged: the session dies with its object, and is what it was", async () => {
  const owner = env.WEB_SOCKET_RELAY.get(env.WEB_SOCKET_RELAY.idFromName("written in vain"), {
    retry: { maxRetries: 0 },
  });
  const opening: Opening = {
    v: 1,
    mode: "held",
    session: "s",
    route: "live",
    configVersion: 1,
    requestId: "r",
    client: { address: "192.0.2.1", forwardedFor: "192.0.2.1" },
    principal: null,
    validUntil: null,
    handshakeMs: 5_000,
    idleMs: 60_000,
    maxLifetimeMs: 3_600_000,
    closeMs: 500,
    fromClient: LIMITS,
    fromUpstream: LIMITS,
    held: {
      isStatus: false,
      owner: "o",
      recv: null,
      control: true,
      holdMs: 30_000,
      ring: { messages: 100, bytes: 10_000 },
      resumeOn1001: false,
      durable: true,
      reconnect: null,
    },
    places: [],
  };
  const headers = { upgrade: "websocket", [OPENING]: toField(opening) };
  const { webSocket: socket } = await owner.fetch("http://gateway.test/live", { headers });
  if (socket === null) throw new Error("no session");
  const heard: string[] = [];
  let wake = () => {};
  const over = new Promise<number>((resolve) => socket.addEventListener("close", ({ code }) => resolve(code)));
  socket.addEventListener("message", ({ data }) => {
    heard.push(String(data));
    wake();
  });
  socket.accept();
  socket.send("one");
  while (!heard.some((text) => text.includes("ack"))) await new Promise<void>((resolve) => (wake = resolve));
  await runInDurableObject(owner, (_object, { storage }) => void storage.sql.exec("DROP TABLE resume_session"));
  socket.send("two");
  expect(await over).toBe(1006);
  expect(heard.filter((text) => text.includes("ack"))).toEqual(['\u0000fg:ack{"n":1}']);
});
