import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { REFUSAL, type Opening } from "../../objects/web-socket-relay/opening.ts";
import { parseConfig } from "../../schemas/index.ts";
import { activeConfig } from "../../worker/config/active.ts";
import { routeMark } from "../../worker/web-socket/route-mark.ts";
import { handshake, HELD, SHARED } from "./opening.ts";

const { SLUICE_CONFIG: _text, SLUICE_CONFIG_VERSION: _version, ...kv } = env;
let clock = Date.now();
const pending: Promise<unknown>[] = [];
const ctx = { waitUntil: (work: Promise<unknown>) => pending.push(work) };

/** The route `chat` of a version goes to the target of that number. */
function documentOf(version: number) {
  return { routes: [{ id: "chat", prefix: "/", target: `http://target-${version}.test`, webSocket: true }] };
}

/** Makes a version what this isolate serves by. */
async function configure(version: number): Promise<void> {
  await env.PROXY_CONFIG?.put("config", JSON.stringify(documentOf(version)), { metadata: { version } });
  clock += 60_000;
  vi.setSystemTime(clock);
  await activeConfig(kv, ctx);
  await Promise.all(pending.splice(0));
}

/** How a Worker that serves by a version marks the route. */
function markOf(version: number): string {
  const parsed = parseConfig(documentOf(version));
  if (!parsed.ok) throw new Error("the document is not valid");
  const { routes, backends } = parsed.config;
  return routes.map((route) => routeMark(route, backends)).join();
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
  vi.spyOn(console, "log").mockImplementation(() => {});
  vi.spyOn(Math, "random").mockReturnValue(0);
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Makes origins take every session. @param ends gets the codes with which these end. */
function takeAll(ends: Promise<number>[] = []): void {
  vi.spyOn(globalThis, "fetch").mockImplementation(async () => {
    const { 0: outer, 1: inner } = new WebSocketPair();
    ends.push(new Promise((resolve) => inner.addEventListener("close", ({ code }) => resolve(code))));
    inner.accept();
    return new Response(null, { status: 101, webSocket: outer });
  });
}

async function open(changes: Partial<Opening>) {
  const relay = env.WEB_SOCKET_RELAY.get(env.WEB_SOCKET_RELAY.newUniqueId());
  return { relay, answer: await relay.fetch(handshake(changes)) };
}

it("says that it is the gateway that refuses a session whose route has just vanished", async () => {
  await configure(1);
  const { answer } = await open({ route: "gone" });
  await answer.text();
  expect(JSON.parse(answer.headers.get(REFUSAL) ?? "null")).toEqual({
    code: "route-not-found",
    detail: "Route gone is not in configuration 1.",
    retryAfter: null,
  });
});

it.each([
  ["let in by a new configuration and dialled by an old one", 0, 3, {}],
  ["that, though the clock was set back since then", 3_600_000, 8, {}],
  ["that, and shared", 3_600_000, 10, { mode: "shared", shared: SHARED }],
] as const)("ends a session that was %s", async (_, backMs, version, how) => {
  takeAll();
  await configure(version);
  const onChange = { mark: markOf(version + 1), drainMs: 0 };
  const { relay, answer } = await open({ configVersion: version + 1, onChange, ...how });
  expect([answer.status, answer.headers.get("x-sluice-mark")]).toEqual([101, null]);
  const client = answer.webSocket;
  if (client === null) throw new Error("no socket");
  client.accept();
  const ended = new Promise((resolve) =>
    client.addEventListener("close", ({ code, reason }) => resolve([code, reason])),
  );
  await configure(version + 1);
  clock -= backMs;
  vi.setSystemTime(clock);
  await runInDurableObject(relay, () => vi.advanceTimersByTimeAsync(40_000));
  expect(await ended).toEqual([1012, "route changed"]);
});

it.each(["bridge", "splice"] as const)("ends a %s whose client left in the moment of the answer", async (mode) => {
  await configure(5);
  const ends: Promise<number>[] = [];
  takeAll(ends);
  const relay = env.WEB_SOCKET_RELAY.get(env.WEB_SOCKET_RELAY.newUniqueId());
  await runInDurableObject(relay, async (object) => {
    // Nobody is there to whom the runtime could send it.
    const answer = await object.fetch(handshake({ mode }));
    expect([answer.status, object.describeSession("one")?.state]).toEqual([101, "open"]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await ends[0]).toBe(1001);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(object.describeSession("one")).toBeNull();
  });
});

it.each([
  ["ends one that its client cannot come back to", null, null],
  ["waits for who can come back", "somebody", "held"],
])("held, and its client left in the moment of the answer: %s", async (_what, owner, state) => {
  await configure(7);
  const ends: Promise<number>[] = [];
  takeAll(ends);
  const relay = env.WEB_SOCKET_RELAY.get(env.WEB_SOCKET_RELAY.newUniqueId());
  await runInDurableObject(relay, async (object) => {
    const answer = await object.fetch(handshake({ mode: "held", held: { ...HELD, owner } }));
    expect([answer.status, object.describeSession("one")?.state]).toEqual([101, "open"]);
    await vi.advanceTimersByTimeAsync(10_000);
    const isSo = () => expect(object.describeSession("one")?.state ?? null).toBe(state);
    await vi.waitFor(isSo, { timeout: 20_000 });
    if (state !== null) await vi.advanceTimersByTimeAsync(30_000);
    expect(await ends[0]).toBe(1001);
  });
});

it("leaves a session alone whose client is there", async () => {
  await configure(6);
  takeAll();
  const { relay, answer } = await open({});
  answer.webSocket?.accept();
  await runInDurableObject(relay, async (object) => {
    await vi.advanceTimersByTimeAsync(20_000);
    expect(object.describeSession("one")?.state).toBe("open");
  });
});
