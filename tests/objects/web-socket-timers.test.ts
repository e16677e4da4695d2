import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { openHeldStore } from "../../objects/web-socket-relay/held/held-store.ts";
import { REFUSAL, type Opening } from "../../objects/web-socket-relay/opening.ts";
import { createResumeSession } from "../../objects/web-socket-relay/resume/session.ts";
import { handshake, HELD, serveChat, SHARED } from "./opening.ts";

const TIMES = 20;

let cleared = 0;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
  vi.spyOn(console, "log").mockImplementation(() => {});
  await serveChat({ mode: "bridge" });
  vi.spyOn(globalThis, "fetch").mockImplementation(async () => {
    const { 0: outer, 1: inner } = new WebSocketPair();
    inner.accept();
    return new Response(null, { status: 101, webSocket: outer });
  });
  cleared = 0;
  const { clearTimeout: clear } = globalThis;
  vi.spyOn(globalThis, "clearTimeout").mockImplementation((timer) => {
    if (timer !== null && timer !== undefined) cleared += 1;
    clear(timer);
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

// Of each the runtime keeps 256 bytes until the object is put away, and such an object may live for months.
it.each([
  ["for clients that come and go, while another stays", true],
  ["for clients that come and go one after the other", false],
])("a shared connection clears no timers %s", async (_what, isKept) => {
  const relay = env.WEB_SOCKET_RELAY.get(env.WEB_SOCKET_RELAY.newUniqueId());
  const join = async (session: string): Promise<WebSocket> => {
    const how: Partial<Opening> = { mode: "shared", session, shared: { ...SHARED, lingerMs: 5_000 } };
    const { webSocket } = await relay.fetch(handshake(how));
    if (webSocket === null) throw new Error("no socket");
    webSocket.accept();
    return webSocket;
  };
  if (isKept) await join("kept");
  for (let n = 0; n < TIMES; n += 1) {
    (await join(`s${n}`)).close(1000);
    await runInDurableObject(relay, (object) =>
      vi.waitFor(() => expect(object.describeSession(`s${n}`)).toBeNull(), { timeout: 20_000 }),
    );
  }
  expect(cleared).toBeLessThan(TIMES / 2);
});

it("a held session clears no timers for a client that comes back again and again", async () => {
  const relay = env.WEB_SOCKET_RELAY.get(env.WEB_SOCKET_RELAY.newUniqueId());
  for (let n = 0; n < TIMES; n += 1) {
    const held = { ...HELD, recv: n === 0 ? null : 0 };
    const { webSocket } = await relay.fetch(handshake({ mode: "held", held }));
    webSocket?.accept();
    expect(webSocket?.readyState).toBe(1);
  }
  expect(cleared).toBeLessThan(TIMES / 2);
});

it.each([
  ["goes on until it is too old", 100, 1012],
  ["is gone when it is too old already", 0, 4410],
])("a stored session that was opened an hour ago %s", async (_what, leftMs, code) => {
  const maxLifetimeMs = 3_600_000;
  const openedAt = Date.now() - maxLifetimeMs + leftMs;
  const relay = env.WEB_SOCKET_RELAY.get(env.WEB_SOCKET_RELAY.newUniqueId());
  const { holdMs, ring, control } = HELD;
  const rules = { holdMs, ring, control, stored: true };
  await runInDurableObject(relay, (_object, { storage }) => {
    const flush = createResumeSession({ epoch: "e", owner: "somebody", rules }, openedAt).flush(Date.now());
    if (flush !== undefined) openHeldStore(storage).write(flush, []);
  });
  const held = { ...HELD, durable: true, recv: 0 };
  const asked = await relay.fetch(handshake({ mode: "held", maxLifetimeMs, held: { ...held, isStatus: true } }));
  await asked.text();
  expect(asked.headers.has(REFUSAL)).toBe(leftMs === 0);
  const { webSocket } = await relay.fetch(handshake({ mode: "held", maxLifetimeMs, held }));
  const heard = new Promise((resolve) => webSocket?.addEventListener("close", (event) => resolve(event.code)));
  webSocket?.accept();
  await runInDurableObject(relay, () => vi.advanceTimersByTimeAsync(leftMs));
  expect(await heard).toBe(code);
  expect(fetch).toHaveBeenCalledTimes(leftMs === 0 ? 0 : 1);
});

// Else one that was dialled while its route was drained would be one from before that.
it("a held session is as old as its origin's answer", async () => {
  const relay = env.WEB_SOCKET_RELAY.get(env.WEB_SOCKET_RELAY.newUniqueId());
  const answeredAt = Date.now() + 3_000;
  vi.mocked(fetch).mockImplementation(async () => {
    const { 0: outer, 1: inner } = new WebSocketPair();
    inner.accept();
    vi.setSystemTime(answeredAt);
    return new Response(null, { status: 101, webSocket: outer });
  });
  const { webSocket } = await relay.fetch(handshake({ mode: "held", held: HELD }));
  webSocket?.accept();
  expect(await relay.describeSession("one")).toMatchObject({ openedAt: answeredAt });
});

it("a held session that its client has closed is not asked to come back by an order that was given before", async () => {
  const upstreams: WebSocket[] = [];
  vi.mocked(fetch).mockImplementation(async () => {
    const { 0: outer, 1: inner } = new WebSocketPair();
    inner.accept({ allowHalfOpen: true });
    upstreams.push(inner);
    return new Response(null, { status: 101, webSocket: outer });
  });
  const relay = env.WEB_SOCKET_RELAY.get(env.WEB_SOCKET_RELAY.newUniqueId());
  const { webSocket } = await relay.fetch(handshake({ mode: "held", held: HELD }));
  webSocket?.accept();
  await runInDurableObject(relay, (object) => {
    object.closeSessions({ sessions: [{ id: "one", afterMs: 100 }], code: 1012, reason: "" });
  });
  const heard = new Promise((resolve) => webSocket?.addEventListener("close", ({ code }) => resolve(code)));
  webSocket?.close(1000);
  await runInDurableObject(relay, async (object) => {
    await vi.waitFor(() => expect(object.describeSession("one")?.state).toBe("closing"), { timeout: 20_000 });
    await vi.advanceTimersByTimeAsync(100);
    upstreams[0]?.close(1000);
  });
  expect(await heard).toBe(1000);
});
