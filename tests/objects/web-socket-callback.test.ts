import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { REFUSAL, type Opening } from "../../objects/web-socket-relay/opening.ts";
import { handshake, serveChat } from "./opening.ts";

interface Event {
  readonly name: string | null;
  readonly sequence: string | null;
  readonly state: string | null;
  readonly close: string | null;
  readonly body: string;
}

let events: Event[] = [];
let answer: (event: Event) => Response | Promise<Response> = () => new Response(null, { status: 204 });

beforeAll(() => serveChat({ callback: {} }));

beforeEach(() => {
  // A day ahead, so that the runtime's own clock, which alarms go by, reaches none of the times that objects set.
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
  vi.spyOn(console, "log").mockImplementation(() => {});
  vi.spyOn(console, "warn").mockImplementation(() => {});
  events = [];
  answer = () => new Response(null, { status: 204 });
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    const field = (name: string) => request.headers.get(`x-sluice-${name}`);
    const [name, sequence, state, close] = [field("event"), field("sequence"), field("state"), field("close")];
    const event = { name, sequence, state, close, body: await request.text() };
    events.push(event);
    return answer(event);
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const TERMS = {
  mode: "callback",
  idleMs: 60_000,
  callback: { batch: 1, onFailure: "close", ping: null, pong: "pong" },
} as const;

type Owner = Awaited<ReturnType<typeof open>>["owner"];

async function open(places: Opening["places"] = [], validUntil: number | null = null) {
  const owner = env.WEB_SOCKET_RELAY.get(env.WEB_SOCKET_RELAY.newUniqueId(), { retry: { maxRetries: 0 } });
  const id = owner.id.toString();
  const terms = { ...TERMS, session: id, places, validUntil };
  const response = await owner.fetch(handshake(terms));
  const socket = response.webSocket;
  if (socket === null) throw new Error(`no session: ${response.status}`);
  const heard: unknown[] = [];
  const over = Promise.withResolvers<number>();
  socket.addEventListener("message", ({ data }) => void heard.push(data));
  socket.addEventListener("close", ({ code }) => over.resolve(code));
  socket.accept();
  return { owner, id, socket, heard, over: over.promise };
}

function names(): unknown[] {
  return events.map(({ name, sequence, state, body }) => [name, sequence, state, body]);
}

/** Not `vi.waitFor`, which would move the time on. */
async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const last = performance.now() + 20_000;
  while (!(await isTrue())) {
    if (performance.now() > last) throw new Error(`waited in vain: ${JSON.stringify(names())}`);
    await scheduler.wait(5);
  }
}

async function untilKept(owner: Owner, alarm: number | null): Promise<void> {
  await until(async () => (await kept(owner))[1] === alarm);
}

function kept(owner: Owner): Promise<[unknown, number | null]> {
  return runInDurableObject(owner, async (_object, { storage }) => [
    storage.kv.get("session") === undefined ? "nothing" : "a session",
    await storage.getAlarm(),
  ]);
}

it("a session goes on where it was when its object was evicted: its messages, its state, its counters, what is pushed", async () => {
  answer = ({ name }) =>
    new Response(null, { status: 204, headers: name === "connect" ? { "x-sluice-state": "s1" } : {} });
  const { owner, id, socket, heard } = await open();
  socket.send("before");
  await until(() => events.length === 2);
  await evictDurableObject(owner);
  socket.send("after");
  await until(() => events.length === 3);
  await evictDurableObject(owner);
  expect(await owner.sendToSessions([id], "pushed")).toEqual(["done"]);
  await until(() => heard.length === 1);
  expect(await owner.describeSession(id)).toMatchObject({ messagesIn: 2, bytesIn: 11, messagesOut: 1, state: "open" });
  await evictDurableObject(owner);
  socket.close(4000, "done");
  await until(() => events.length === 4);
  expect(heard).toEqual(["pushed"]);
  expect(names()).toEqual([
    ["connect", "1", null, ""],
    ["message", "2", "s1", "before"],
    ["message", "3", "s1", "after"],
    ["disconnect", "4", "s1", "done"],
  ]);
  await untilKept(owner, null);
});

it("sleeps until it has been silent for too long, and is closed then", async () => {
  const { owner, socket, over } = await open();
  socket.send("something");
  await until(() => events.length === 2);
  await evictDurableObject(owner);
  expect(await kept(owner)).toEqual(["a session", Date.now() + 60_000]);
  vi.setSystemTime(Date.now() + 59_000);
  expect(await runDurableObjectAlarm(owner)).toBe(true);
  vi.setSystemTime(Date.now() + 1_000);
  expect(await runDurableObjectAlarm(owner)).toBe(true);
  expect(await over).toBe(4408);
  await until(() => events.length === 3);
  expect(events.at(-1)).toMatchObject({ name: "disconnect", close: "4408" });
});

it("ends with the credentials of its client, though it sleeps", async () => {
  const validUntil = Date.now() + 10_000;
  const { owner, over } = await open([], validUntil);
  await evictDurableObject(owner);
  expect(await kept(owner)).toEqual(["a session", validUntil]);
  vi.setSystemTime(validUntil);
  expect(await runDurableObjectAlarm(owner)).toBe(true);
  expect(await over).toBe(4401);
  await until(() => events.length === 2);
  expect(events.at(-1)).toMatchObject({ name: "disconnect", close: "4401" });
});

it("the backend is told of the end until it has heard it, though the object dies in between", async () => {
  let failures = 2;
  answer = ({ name }) => new Response(null, { status: name === "disconnect" && failures-- > 0 ? 500 : 204 });
  const { owner, socket } = await open();
  socket.close(1000, "bye");
  await until(() => events.length === 2);
  await untilKept(owner, Date.now() + 5_000);
  await evictDurableObject(owner);
  vi.setSystemTime(Date.now() + 5_000);
  expect(await runDurableObjectAlarm(owner)).toBe(true);
  await untilKept(owner, Date.now() + 10_000);
  vi.setSystemTime(Date.now() + 10_000);
  expect(await runDurableObjectAlarm(owner)).toBe(true);
  expect(events.map(({ name, close, body }) => [name, close, body])).toEqual([
    ["connect", null, ""],
    ...Array.from({ length: 3 }, () => ["disconnect", "1000", "bye"]),
  ]);
  expect(await kept(owner)).toEqual(["nothing", null]);
});

it("gives up telling a backend that never hears", async () => {
  answer = ({ name }) => new Response(null, { status: name === "disconnect" ? 500 : 204 });
  const { owner, socket } = await open();
  socket.close(1000);
  await until(() => events.length === 2);
  for (let tries = 2; tries <= 6; tries += 1) {
    await untilKept(owner, Date.now() + 5_000 * 2 ** (tries - 2));
    vi.setSystemTime(Date.now() + 1_000_000);
    expect(await runDurableObjectAlarm(owner)).toBe(true);
    expect(events.filter(({ name }) => name === "disconnect")).toHaveLength(tries);
  }
  expect(await kept(owner)).toEqual(["nothing", null]);
});

it("nothing is kept of a session that the backend refused", async () => {
  answer = () => new Response("no", { status: 401 });
  await expect(open()).rejects.toThrow("no session: 401");
});

const LATE_REFUSAL = { code: "upstream-timeout", detail: "The backend did not answer in time.", retryAfter: null };

it.each([
  ["answers too late", () => scheduler.wait(60_000), 503, LATE_REFUSAL],
  ["is lost before it answers", () => Promise.reject(new Error("Network connection lost.")), 502, null],
])(
  "a backend that %s is told, once, of the end of what it may have taken",
  async (_what, connecting, status, refusal) => {
    const gate = Promise.withResolvers<void>();
    answer = async ({ name }) => {
      await (name === "connect" ? connecting() : gate.promise);
      return new Response(null, { status: 500 });
    };
    const owner = env.WEB_SOCKET_RELAY.get(env.WEB_SOCKET_RELAY.newUniqueId());
    const came = await owner.fetch(handshake({ ...TERMS, handshakeMs: 10, session: owner.id.toString() }));
    await came.text();
    const { headers } = came;
    expect([came.status, headers.get("x-sluice-lost")]).toEqual([status, null]);
    expect(JSON.parse(headers.get(REFUSAL) ?? "null")).toEqual(refusal);
    await until(() => events.length === 2);
    gate.resolve();
    expect(events.at(-1)).toMatchObject({ name: "disconnect", sequence: "2", close: "1014", body: "upstream failed" });
    expect(await kept(owner)).toEqual(["nothing", null]);
  },
);

it("holds its place while it sleeps, and leaves it when it ends", async () => {
  const place = { owner: "owner of places", client: "client", policy: "web-socket:chat:ip", most: 1 };
  const { owner, socket } = await open([place]);
  const isRefused = () => expect(open([place])).rejects.toThrow("no session: 503");
  await isRefused();
  await evictDurableObject(owner);
  vi.setSystemTime(Date.now() + 55_000);
  socket.send("alive");
  await until(() => events.length === 2);
  await evictDurableObject(owner);
  for (let minutes = 0; minutes < 14; minutes += 1) {
    socket.send("alive");
    await until(() => events.length === 3 + minutes);
    vi.setSystemTime(Date.now() + 55_000);
    if (minutes % 4 === 0) expect(await runDurableObjectAlarm(owner)).toBe(true);
    await isRefused();
  }
  socket.close(1000);
  await untilKept(owner, null);
  const other = await open([place]);
  other.socket.close();
  await untilKept(other.owner, null);
});
